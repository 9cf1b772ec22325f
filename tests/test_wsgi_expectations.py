"""What other WSGI servers' test suites expect of a server, asked of this one; and content that is not small.

The functional suites of waitress and gunicorn are the measure: echo, lengths that are said and wrong, write(), failures
at every moment, file wrappers, connections that go on or end.  What they expect of HTTP itself is in `test_head.py`,
`test_handler.py` and `test_h11_agreement.py`; what is ours alone is in `test_wsgi.py`.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Router, text
from httpd.wsgi import WSGI

from .exchange import EOF, GET, RESET, Answer, Exchange, get, post, read_answers, serving, talk
from .scripted import every_cut
from .tools import open_descriptors

Application = Callable[..., Iterable[bytes]]
TEXT = [("Content-Type", "text/plain")]


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Gives back what it is sent."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]


def answers(application: Application, *requests: bytes) -> list[Answer]:
    methods = [request.split()[0].decode() for request in requests]
    return Exchange([b"".join(requests)], WSGI(application)).answers(*methods)


# ---- echo


@pytest.mark.parametrize("body", [b"", b"x", b"Hello\r\n\r\nGET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 20])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_comes_back(body: bytes, version: str) -> None:
    [answer] = answers(echo, post(body, version=version))
    assert (answer.status, answer.body, answer["content-length"]) == (200, body, str(len(body)))
    assert answer["date"].endswith("GMT")
    assert answer["server"] == "httpd"


def test_several_bodies_on_one_connection() -> None:
    bodies = [b"", b"one", b"two" * 1_000, b""]
    assert [answer.body for answer in answers(echo, *(post(body) for body in bodies))] == bodies


def test_a_head_in_any_pieces() -> None:
    wire = post(b"hello") + get("/", "Connection: close")
    whole = Exchange([wire], WSGI(echo)).output
    for pieces in every_cut(wire):
        assert Exchange(pieces, WSGI(echo)).output == whole


def test_without_asking_for_its_end_the_input_ends() -> None:
    def reads(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        file = environ["wsgi.input"]
        lines = [file.readline(), file.readline(3), *file, file.read()]
        start_response("200 OK", TEXT)
        return [b"|".join(lines)]

    assert answers(reads, post(b"one\ntwo three\nfour"))[0].body == b"one\n|two| three\n|four|"


def test_an_input_that_is_not_read_is_not_taken_for_a_request() -> None:
    def deaf(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return [environ["REQUEST_METHOD"].encode()]

    got = answers(deaf, post(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), GET)
    assert [answer.body for answer in got] == [b"POST", b"GET"]


# ---- whether the connection goes on


@pytest.mark.parametrize(
    ("version", "fields", "goes_on"),
    [
        ("1.0", [], False),
        ("1.0", ["Connection: keep-alive"], True),
        ("1.0", ["Connection: Keep-Alive"], True),
        ("1.1", [], True),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: Close, x"], False),
    ],
)
@pytest.mark.parametrize("content", [[b"a", b"b"], (b"ab",), None])
def test_it_goes_on_where_both_sides_can(version: str, fields: list[str], goes_on: bool, content: Any) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return iter([b"a", b"b"]) if content is None else content  # type: ignore[no-any-return]

    [answer] = answers(application, get("/", *fields, version=version))
    # What is made meanwhile has no length that anybody could say, and ends with its connection.
    assert (answer.body, answer.keeps_alive) == (b"ab", goes_on and content is not None)
    assert answer["content-length"] == ("" if content is None else "2")


# ---- lengths


@pytest.mark.parametrize("how", ["list", "generator", "write", "write and list"])
@pytest.mark.parametrize("said", [9, 10, 11])
def test_a_length_that_is_wrong(how: str, said: int, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [*TEXT, ("Content-Length", str(said))])
        if how == "list":
            return [b"01234", b"56789"]
        if how == "generator":
            return iter([b"01234", b"56789"])
        write(b"01234")
        if how == "write":
            write(b"56789")
            return []
        return [b"56789"]

    exchange = Exchange([GET], WSGI(application))
    if said <= 10:
        [answer] = exchange.answers()
        assert (answer.body, answer.keeps_alive) == (b"0123456789"[:said], True)
    else:
        # It has begun: the client must see that this is not all.
        assert exchange.reset
        assert exchange.output.endswith(b"0123456789")
    assert ("Content-Length" in caplog.text) == (said != 10)


def test_a_length_is_of_bytes_and_may_be_zero() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "0")])
        return [b""]

    assert [(each.body, each.keeps_alive) for each in answers(application, GET, GET)] == [(b"", True)] * 2


# ---- failures


def _before(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise ValueError("wrong")


def _after_start(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    raise ValueError("wrong")


def _in_generator(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])
    yield b"half"
    raise ValueError("wrong")


def _after_write(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])(b"half")
    raise ValueError("wrong")


def _exits(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    sys.exit(3)


@pytest.mark.parametrize(
    ("application", "begun"),
    [(_before, False), (_after_start, False), (_in_generator, True), (_after_write, True), (_exits, False)],
)
def test_a_failure_is_a_500_or_a_cut_and_the_next_client_is_served(application: Application, begun: bool) -> None:
    site = Router()
    site.mount("/fails", WSGI(application))
    site.mount("/", WSGI(echo))
    with serving(site) as server:
        if begun:
            with pytest.raises(ConnectionResetError):
                talk(server, get("/fails/"))
        else:
            [answer] = read_answers(talk(server, get("/fails/", "Connection: close")))
            assert (answer.status, b"wrong" in answer.body) == (500, False)
        assert read_answers(talk(server, post(b"next", "Connection: close")), ["POST"])[0].body == b"next"


def test_a_close_that_fails_after_all_was_sent_harms_nobody() -> None:
    class Content:
        def __init__(self) -> None:
            self.left = [b"abc"]

        def __iter__(self) -> Content:
            return self

        def __next__(self) -> bytes:
            if not self.left:
                raise StopIteration
            return self.left.pop()

        def close(self) -> None:
            raise RuntimeError("wrong")

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "3")])
        return Content()

    assert [each.body for each in answers(application, GET, GET)] == [b"abc", b"abc"]


@pytest.mark.parametrize(
    "name", ["Connection", "keep-alive", "Proxy-Authenticate", "TE", "Trailers", "Transfer-Encoding", "Upgrade"]
)
def test_hop_by_hop_fields_are_no_applications(name: str) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, (name, "x")])
        return [b"never"]

    assert answers(application, GET)[0].status == 500


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (200, TEXT),
        (b"200 OK", TEXT),
        ("200 OK", [("X", 1)]),
        ("200 OK", [(1, "x")]),
        ("200 OK", [("X", "a\nb")]),
        ("200 OK", [("X\r", "b")]),
        ("200 OK", [("X:", "b")]),
        ("200 OK", [("X", "\u20ac")]),
        ("200 OK", [("X",)]),
    ],
)
def test_a_head_that_is_none_is_a_500(status: Any, lines: Any) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, lines)
        return [b"never"]

    assert [each.status for each in answers(application, GET, GET)] == [500, 500]


# ---- file wrappers


@pytest.mark.parametrize(("said", "got"), [(None, 100), (60, 60), (100, 100)])
@pytest.mark.parametrize("kind", ["file", "like a file", "no seek"])
def test_a_wrapped_file_is_sent_as_far_as_its_length_says(
    tmp_path: Path, kind: str, said: int | None, got: int
) -> None:
    content = os.urandom(100)
    (tmp_path / "file").write_bytes(content)
    opened: list[Any] = []

    class NoSeek:
        def __init__(self) -> None:
            self.file = io.BytesIO(content)
            self.closed = False

        def read(self, size: int = -1) -> bytes:
            return self.file.read(size)

        def close(self) -> None:
            self.closed = True

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kinds: dict[str, Callable[[], Any]] = {
            "file": lambda: (tmp_path / "file").open("rb"),
            "like a file": lambda: io.BytesIO(content),
            "no seek": NoSeek,
        }
        opened.append(kinds[kind]())
        start_response("200 OK", [*TEXT, *([("Content-Length", str(said))] if said is not None else [])])
        return environ["wsgi.file_wrapper"](opened[-1], 30)  # type: ignore[no-any-return]

    [answer] = answers(application, GET)
    assert answer.body == content[:got]
    assert opened[0].closed
    assert answer.keeps_alive == (said is not None or kind == "file")


# ---- content that is not small


def digest(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What came, told by its hash, read in pieces."""
    file = environ["wsgi.input"]
    found = hashlib.sha256()
    while piece := file.read(10_000):
        found.update(piece)
    start_response("200 OK", [*TEXT, ("X-In-Memory", "yes" if isinstance(file, io.BytesIO) else "no")])
    return [found.hexdigest().encode()]


@pytest.mark.parametrize(("size", "where"), [(0, "yes"), (60_000, "yes"), (70_000, "no"), (5_000_000, "no")])
def test_what_is_not_small_is_never_held_whole(size: int, where: str) -> None:
    content = os.urandom(size)
    with serving(WSGI(digest)) as server:
        [answer] = read_answers(talk(server, post(content, "Connection: close")), ["POST"])
    assert (answer.status, answer["x-in-memory"]) == (200, where)
    assert answer.body.decode() == hashlib.sha256(content).hexdigest()


def test_a_form_in_parts_is_the_applications_to_read() -> None:
    kind = "Content-Type: multipart/form-data; boundary=XyZ"
    content = b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 100_000 + b"\r\n--XyZ--\r\n"
    [answer] = answers(digest, post(content, kind))
    assert answer.body.decode() == hashlib.sha256(content).hexdigest()


def test_more_than_it_takes_is_refused_before_it_comes() -> None:
    site = Router()
    site.mount("/", WSGI(echo, body=100_000))
    asked = post(b"x" * 100_001, "Expect: 100-continue")
    exchange = Exchange([asked[:200], EOF], site)
    assert (exchange.answers("POST")[0].status, exchange.answers("POST")[0].interim) == (413, [])
    assert Exchange([post(b"x" * 100_000)], site).answers("POST")[0].body == b"x" * 100_000


def test_an_application_takes_more_than_other_routes() -> None:
    site = Router()
    site.mount("/app", WSGI(echo))
    site.post("/")(lambda request: text("never"))
    limits = Limits(body=100)
    assert Exchange([post(b"x" * 200, path="/app/")], site, limits=limits).answers("POST")[0].body == b"x" * 200
    assert Exchange([post(b"x" * 200), EOF], site, limits=limits).answers("POST")[0].status == 413


@pytest.mark.parametrize("end", [EOF, RESET])
def test_nothing_stays_on_the_disk_of_who_leaves(end: Any) -> None:
    before = open_descriptors()
    exchange = Exchange([post(b"x" * 200_000)[:150_000]], WSGI(digest))
    assert open_descriptors() == before + 1
    exchange.feed(end)
    assert open_descriptors() == before
