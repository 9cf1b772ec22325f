"""WSGI applications (PEP 3333): what they get, what they give, and what happens where either side stops."""

from __future__ import annotations

import io
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from httpd import Hosts, Limits, Request, Router
from httpd.net import producers
from httpd.protocol.errors import HTTPError
from httpd.server.server import Server
from httpd.site.gzipped import Gzipped
from httpd.site.wrapping import WithHeaders
from httpd.trace.laws import check
from httpd.trace.replay import replay
from httpd.trace.tracing import Memory, Tracing
from httpd.wsgi import WSGI

from .exchange import GET, Answer, Exchange, get, post, read_answers, read_to_end, serving, talk
from .tools import open_descriptors

Application = Callable[..., Iterable[bytes]]
TEXT = [("Content-Type", "text/plain")]


class Content:
    """An application's iterable that counts how often it was closed, and in which thread."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = iter(pieces)
        self.closed: list[str] = []
        self.given = 0

    def __iter__(self) -> Content:
        return self

    def __next__(self) -> bytes:
        self.given += 1
        return next(self.pieces)

    def close(self) -> None:
        self.closed.append(threading.current_thread().name)


def giving(content: Iterable[bytes], *lines: tuple[str, str], status: str = "200 OK") -> Application:
    """An application that gives this."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [*TEXT, *lines])
        return content

    return application


def answer_of(application: Application, *requests: bytes) -> Answer:
    """The answer to the last request, GET / by default."""
    asked = requests or (GET,)
    return Exchange([b"".join(asked)], WSGI(application)).answers(asked[-1].split()[0].decode())[-1]


def environ_of(request: bytes, site: Callable[[WSGI], Any] = lambda wsgi: wsgi, **options: Any) -> dict[str, Any]:
    """The environ that an application gets; it is also held to the standard library's idea of one."""
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(dict(environ, content=environ["wsgi.input"].read(-1)))
        start_response("200 OK", TEXT)
        return [b"ok"]

    exchange = Exchange([request], site(WSGI(validator(application))), **options)
    assert exchange.answers()[0].status == 200
    return seen[0]


# ---- what it gets


def test_the_environ_of_a_get() -> None:
    environ = environ_of(get("/a%20b/%C3%A4%ff?x=1&y=%20", "X-One: 1", "X-One: 2", "Cookie: a=1", "Cookie: b=2"))
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa4\xff",
        "QUERY_STRING": "x=1&y=%20",
        "REQUEST_URI": "/a%20b/%C3%A4%ff?x=1&y=%20",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "a",
        "HTTP_X_ONE": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
        "content": b"",
    }
    assert {name: environ[name] for name in expected} == expected
    assert not {"CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER", "HTTP_CONTENT_TYPE"} & environ.keys()
    assert (environ["wsgi.version"], environ["wsgi.url_scheme"]) == ((1, 0), "http")
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.run_once"]) == (True, False, False)


def test_an_application_that_other_processes_have_too_is_told() -> None:
    seen = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["wsgi.multiprocess"])
        start_response("200 OK", TEXT)
        return []

    Exchange([GET], WSGI(application, multiprocess=True))
    assert seen == [True]


def test_the_environ_of_a_post() -> None:
    environ = environ_of(post(b"a=1", "Content-Type: application/x-www-form-urlencoded"))
    assert (environ["CONTENT_LENGTH"], environ["CONTENT_TYPE"]) == ("3", "application/x-www-form-urlencoded")
    assert environ["content"] == b"a=1"
    assert not {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & environ.keys()
    assert environ_of(get("/", "Content-Length: 0", method="POST"))["CONTENT_LENGTH"] == "0"


def test_the_input_is_a_file_with_an_end() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        file = environ["wsgi.input"]
        said = [file.readline(), file.read(2), *file.readlines(), file.read(), file.read(5)]
        return [repr(said).encode()]

    assert answer_of(application, post(b"one\ntwo\nthree")).body == b"[b'one\\n', b'tw', b'o\\n', b'three', b'', b'']"


def test_no_field_becomes_a_setting_or_stands_for_another() -> None:
    environ = environ_of(get("/", "Proxy: http://evil/", "X_Real-IP: 1", "X_Forwarded_For: 2", "X-Forwarded-For: 3"))
    assert [name for name in environ if name.startswith("HTTP_")] == ["HTTP_HOST", "HTTP_X_FORWARDED_FOR"]
    assert environ["HTTP_X_FORWARDED_FOR"] == "3"


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("example.org", "example.org", "80"),
        ("example.org:8080", "example.org", "8080"),
        ("[::1]", "[::1]", "80"),
        ("[::1]:81", "[::1]", "81"),
    ],
)
def test_the_servers_name_is_the_one_that_was_asked_for(host: str, name: str, port: str) -> None:
    environ = environ_of(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


def test_a_client_without_a_host() -> None:
    environ = environ_of(get(version="1.0"))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"]) == (
        "localhost", "80", "HTTP/1.0",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "script", "rest"),
    [
        ("/shop/", "/shop", "/"),
        ("/shop/a/b", "/shop", "/a/b"),
        ("/sh%6fp/%C3%A4", "/shop", "/\xc3\xa4"),
        ("//shop/./a", "/shop", "/a"),
        ("/in/n%C3%A4/x", "/in/n\xc3\xa4", "/x"),
        ("/other", "", "/other"),
    ],
)
def test_mounted_it_knows_its_prefix(path: str, script: str, rest: str) -> None:
    def site(wsgi: WSGI) -> Router:
        outer, inner = Router(), Router()
        inner.mount("/nä", wsgi)
        for prefix, app in (("/in", inner), ("/shop", wsgi), ("/", wsgi)):
            outer.mount(prefix, app)
        return outer

    environ = environ_of(get(path), site)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, rest)


def test_behind_hosts_and_for_the_whole_server() -> None:
    assert environ_of(get("//x"), lambda wsgi: Hosts([("a", wsgi)]))["PATH_INFO"] == "//x"
    assert environ_of(get("*", method="OPTIONS"))["PATH_INFO"] == ""


def test_who_gave_a_password_is_named() -> None:
    def known(wsgi: WSGI) -> Callable[[Request], Any]:
        def site(request: Request) -> Any:
            request.head.user = "alice"
            return wsgi(request)

        return site

    environ = environ_of(GET, known)
    assert (environ["REMOTE_USER"], environ["AUTH_TYPE"]) == ("alice", "Basic")


def test_errors_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        errors = environ["wsgi.errors"]
        errors.write("half ")
        errors.writelines(["a line\n", "another"])
        errors.flush()
        errors.flush()
        print("printed", file=errors)
        start_response("200 OK", TEXT)
        return []

    answer_of(application)
    assert [record.getMessage() for record in caplog.records] == ["half a line\nanother", "printed"]


def test_a_log_that_is_written_to_wsgi_errors_ends() -> None:
    import logging

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        handler = logging.StreamHandler(environ["wsgi.errors"])
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            environ["wsgi.errors"].write("round and round\n")
        finally:
            root.removeHandler(handler)
        start_response("200 OK", TEXT)
        return [b"ended"]

    assert answer_of(application).body == b"ended"


# ---- what it gives


@pytest.mark.parametrize("content", [[b"one ", b"", b"two"], (b"one two",), (b"one", b" two")])
def test_what_is_there_already_gets_a_length(content: Iterable[bytes]) -> None:
    answer = answer_of(giving(content))
    assert (answer.body, answer["content-length"], answer.keeps_alive) == (b"one two", "7", True)


def test_what_is_made_meanwhile_ends_with_the_connection() -> None:
    answer = answer_of(validator(giving(iter([b"", b"one ", b"two"]))))
    assert (answer.body, answer["content-length"], answer.keeps_alive) == (b"one two", "", False)


def test_with_a_length_of_its_own_the_connection_goes_on() -> None:
    application = giving(Content([b"one ", b"two"]), ("Content-Length", "7"))
    answer = answer_of(application)
    assert (answer.body, answer["content-length"], answer.keeps_alive) == (b"one two", "7", True)


@pytest.mark.parametrize("content", [[], iter([]), iter([b""]), [b""]])
def test_no_content(content: Iterable[bytes]) -> None:
    answer = answer_of(giving(content, status="404 Nothing To See"))
    assert (answer.status, answer.body, answer["content-length"], answer.keeps_alive) == (404, b"", "0", True)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("299 My Own Words", b"HTTP/1.0 299 My Own Words"),
        ("200 Fine", b"HTTP/1.0 200 Fine"),
        ("404 Nicht gefunden, t\xfct mir leid", b"HTTP/1.0 404 Nicht gefunden, t\xfct mir leid"),
        ("200", b"HTTP/1.0 200 OK"),
        ("299 ", b"HTTP/1.0 299 Unknown"),
    ],
)
def test_the_words_of_a_status_are_the_application_s(status: str, line: bytes) -> None:
    exchange = Exchange([GET], WithHeaders(WSGI(giving([b"x"], status=status)), [("X", "y")]))
    assert exchange.output.partition(b"\r\n")[0] == line
    assert exchange.answers()[0]["x"] == "y"


def test_the_words_of_a_status_are_said_again_when_it_is_played_again() -> None:
    memory = Memory()
    with serving(WSGI(giving([b"x"], status="299 My Own Words"))) as server:
        Tracing(memory).attach(server)
        assert talk(server, get("/", "Connection: close")).startswith(b"HTTP/1.0 299 My Own Words\r\n")
    [trace] = memory.traces
    assert check(trace.events) + replay(trace)[1] == []


def test_a_generator_may_start_its_response_late() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("201 Created", TEXT)
        yield b"made"

    answer = answer_of(application)
    assert (answer.status, answer.body) == (201, b"made")


def test_write_sends_what_it_is_given_before_the_iterable() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"")
        write(b"one ")
        write(b"two ")
        return [b"three"]

    answer = answer_of(application)
    assert (answer.body, answer.keeps_alive) == (b"one two three", False)


@pytest.mark.parametrize(
    ("content", "lines", "length"),
    [
        ([b"content"], [], "7"),
        (iter([b"content"]), [("Content-Length", "7")], "7"),
        ([], [("Content-Length", "7")], "7"),
        (iter([b"content"]), [], ""),
    ],
)
def test_head_gets_the_head_of_a_get(content: Iterable[bytes], lines: list[tuple[str, str]], length: str) -> None:
    answer = answer_of(giving(content, *lines), get(method="HEAD"))
    assert (answer.status, answer.body, answer["content-length"]) == (200, b"", length)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_what_has_no_content_sends_none(status: str) -> None:
    answer = answer_of(giving(iter([b"not this"]), status=status), GET)
    assert (answer.status, answer.body, answer.keeps_alive) == (int(status[:3]), b"", True)
    assert not answer["content-length"]


def test_its_field_lines_are_kept_but_for_the_servers() -> None:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    answer = answer_of(giving([b""], *cookies, ("Server", "mine"), ("Date", "never"), ("X-E", "é")))
    assert [line for line in answer.lines if line[0] in ("set-cookie", "server", "x-e")] == [
        ("server", "httpd"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-e", "é"),
    ]  # fmt: skip


def test_a_head_may_be_replaced_until_it_is_sent() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "1000")])
        try:
            raise ValueError("on second thought")
        except ValueError:
            start_response("503 Not Now", TEXT, sys.exc_info())
        return [b"sorry"]

    answer = answer_of(application)
    assert (answer.status, answer.body) == (503, b"sorry")


def test_after_that_it_is_raised_again(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"half"
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("500 Oh", TEXT, sys.exc_info())

    exchange = Exchange([GET], WSGI(application))
    assert exchange.reset
    assert exchange.output.endswith(b"half")
    assert "ValueError: too late" in caplog.text


def _twice(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b""]


def _raises(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise LookupError("nowhere")


def _raises_first(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    raise LookupError("nowhere")
    yield b""


@pytest.mark.parametrize(
    ("application", "told"),
    [
        (_raises, "LookupError: nowhere"),
        (_raises_first, "LookupError: nowhere"),
        (_twice, "start_response() was called before"),
        (lambda environ, start_response: [b"content"], "start_response() was not called"),
        (lambda environ, start_response: [], "start_response() was not called"),
        (lambda environ, start_response: None, "TypeError"),
        (giving({"text": 1}), "content is bytes, not str"),  # type: ignore[list-item]
        (giving(["text"]), "TypeError"),  # type: ignore[list-item]
        (giving([], status="OK"), "not a status: 'OK'"),
        (giving([], status="20 OK"), "not a status"),
        (giving([], status="100 Continue"), "not the status of a final response"),
        (giving([], status="200 OK\r\nX: y"), "a control character"),
        (giving([], status="200 \u20ac"), "beyond latin-1 in the reason phrase"),
        (giving([], ("Connection", "close")), "the field Connection is the server's"),
        (giving([], ("Transfer-Encoding", "chunked")), "the field Transfer-Encoding is the server's"),
        (giving([], ("Content-Length", "-1")), "not a Content-Length"),
        (giving([b"a"], ("Content-Length", "1"), ("Content-Length", "2")), "not a Content-Length"),
        (giving([], ("X", "a\r\nb")), "a control character"),
        (giving([], ("X Y", "a")), "not a field name"),
        (giving([], ("Content-Length", "5")), "5 bytes shorter than its Content-Length"),
    ],
)
def test_what_is_wrong_before_the_head_is_a_500_with_the_reason_in_the_log(
    application: Application, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = Exchange([GET + GET], WSGI(application))
    assert [answer.status for answer in exchange.answers()] == [500, 500]
    assert told in caplog.text


@pytest.mark.parametrize("lines", [[], [("Content-Length", "100")]])
def test_what_fails_after_the_head_cuts_the_connection(
    lines: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise LookupError("the rest")

    exchange = Exchange([GET], WSGI(giving(pieces(), *lines)))
    assert exchange.reset
    assert exchange.output.endswith(b"half")
    assert caplog.text.count("LookupError: the rest") == 1
    assert caplog.text.count("Traceback") == 1


def test_too_little_content_cuts_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    assert Exchange([GET], WSGI(giving(iter([b"half", b"."]), ("Content-Length", "10")))).reset
    assert "5 bytes shorter than its Content-Length" in caplog.text


@pytest.mark.parametrize("pieces", [[b"12345678"], [b"123", b"45678"], [b"12345", b"678"], [b"12345", b"6", b"7"]])
def test_too_much_content_is_not_sent(pieces: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    content = Content(pieces)
    exchange = Exchange([GET], WSGI(giving(content, ("Content-Length", "5"))))
    assert (exchange.answers()[0].body, exchange.answers()[0].keeps_alive) == (b"12345", True)
    assert "more content than its Content-Length" in caplog.text
    assert len(content.closed) == 1


# ---- close()


@pytest.mark.parametrize(
    ("request_", "pieces", "lines"),
    [
        (GET, [b"one", b"two"], []),
        (GET, [], []),
        (GET, [b"one", b"two"], [("Content-Length", "6")]),
        (GET, [b"one"], [("Content-Length", "100")]),
        (GET, [b"one"], [("Connection", "close")]),
        (get(method="HEAD"), [b"one"], []),
        (GET, ["text"], []),
        (GET, [b"one", "text"], []),
    ],
)
def test_close_is_called_once(request_: bytes, pieces: Any, lines: list[tuple[str, str]]) -> None:
    content = Content(pieces)
    with serving(WSGI(giving(content, *lines))) as server:
        try:
            talk(server, request_.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        except ConnectionResetError:
            pass
    # Where no head could be made, there was no content either.
    assert content.closed == (["httpd-worker"] if ("Connection", "close") not in lines else [])


def test_a_close_that_fails_is_told_and_takes_nothing_away(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Content):
        def close(self) -> None:
            raise LookupError("closing")

    exchange = Exchange([GET], WSGI(giving(Fails([b"whole"]), ("Content-Length", "5"))))
    assert exchange.answers()[0].body == b"whole"
    assert "LookupError: closing" in caplog.text


# ---- files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4_000)
    return path


def wrapping(opened: Callable[[], Any], *lines: tuple[str, str]) -> Application:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, *lines])
        return environ["wsgi.file_wrapper"](opened(), 1_000)  # type: ignore[no-any-return]

    return application


def test_a_file_goes_past_python_from_where_it_stands(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    sent: list[int] = []
    sendfile = os.sendfile
    monkeypatch.setattr(os, "sendfile", lambda *args: sent.append(1) or sendfile(*args))
    monkeypatch.setattr(producers, "copied_end", lambda length: 1_000)
    opened: list[io.BufferedReader] = []

    def open_it() -> io.BufferedReader:
        opened.append(file.open("rb"))
        opened[-1].read(3)
        return opened[-1]

    with serving(WSGI(wrapping(open_it))) as server:
        answers = read_answers(talk(server, GET + get("/", "Connection: close")))
    assert [answer.body for answer in answers] == [file.read_bytes()[3:]] * 2
    assert [answer.keeps_alive for answer in answers] == [True, False]
    assert sent
    assert all(one.closed for one in opened)


@pytest.mark.parametrize(("method", "said", "got"), [("GET", "5", 5), ("HEAD", "5", 0), ("HEAD", "", 0)])
def test_so_much_of_a_file_as_its_length_says(file: Path, method: str, said: str, got: int) -> None:
    lines = [("Content-Length", said)] if said else []
    answer = answer_of(wrapping(lambda: file.open("rb"), *lines), get(method=method))
    assert (len(answer.body), answer["content-length"]) == (got, said or "1024000")


def test_a_file_that_is_shorter_is_a_500(file: Path) -> None:
    assert answer_of(wrapping(lambda: file.open("rb"), ("Content-Length", "2000000"))).status == 500


def test_what_is_like_a_file_is_read(file: Path) -> None:
    import gzip

    packed = gzip.compress(b"unpacked")
    temporary = tempfile.TemporaryFile()  # noqa: SIM115
    temporary.write(b"temporary")
    temporary.seek(0)
    packed_file = file.with_suffix(".gz")
    packed_file.write_bytes(packed)
    for opened, content in [
        (io.BytesIO(b"in memory"), b"in memory"),
        (temporary, b"temporary"),
        (gzip.open(packed_file), b"unpacked"),  # noqa: SIM115
    ]:
        assert answer_of(wrapping(lambda opened=opened: opened)).body == content  # type: ignore[misc]
        assert opened.closed


def test_no_descriptor_stays_open_where_a_file_is_not_sent(file: Path) -> None:
    before = open_descriptors()
    for request in (get(method="HEAD"), GET):
        answer_of(wrapping(lambda: file.open("rb"), ("X", "a\nb")), request)
        answer_of(wrapping(lambda: file.open("rb"), ("Content-Length", "2000000")), request)
    assert open_descriptors() == before


# ---- time and threads


def ask(server: Server, request: bytes = GET) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), 10)
    sock.sendall(request)
    return sock


def until(holds: Callable[[], object], patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


def test_each_piece_is_sent_when_it_is_made() -> None:
    go = threading.Semaphore(0)

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            yield b"%d" % number
            go.acquire(timeout=10)

    with serving(WSGI(giving(pieces()))) as server, ask(server) as sock:
        got = b""
        for number in range(3):
            while not got.endswith(b"%d" % number):
                got += sock.recv(1_000)
            go.release()
        assert read_to_end(sock) == b""


def test_an_application_waits_for_its_client_and_the_loop_for_nobody() -> None:
    content = Content(b"x" * 10_000 for _ in range(10_000))
    site = Router()
    site.get("/quick")(WSGI(giving([b"quick"])))
    site.mount("/", WSGI(giving(content)))
    with serving(site) as server, ask(server) as sock:
        made = [-1]

        def rests() -> bool:
            before, made[0] = made[0], content.given
            time.sleep(0.1)
            return before == made[0] > 0

        assert until(rests)
        # What the kernel holds of it, here and there, is some megabytes.
        assert made[0] < 2_000
        assert read_answers(talk(server, get("/quick", "Connection: close")))[0].body == b"quick"
        assert len(read_to_end(sock)) > 100_000_000
        assert until(lambda: content.closed == ["httpd-worker"])


@pytest.mark.parametrize("waits", [False, True])
def test_an_application_is_told_when_its_client_has_gone(waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 10_000
            if waits:
                time.sleep(0.01)

    content = Content(endless())
    with serving(WSGI(giving(content))) as server:
        with ask(server) as sock:
            sock.recv(100)
        assert until(lambda: content.closed)
        time.sleep(0.05)
        assert content.closed == ["httpd-worker"]
        assert read_answers(talk(server, get("/", "Connection: close", method="HEAD")), ["HEAD"])[0].status == 200
    assert not caplog.text


def test_one_that_writes_is_told_by_an_error() -> None:
    told: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", TEXT)
        try:
            while True:
                write(b"x" * 10_000)
        except OSError as error:
            told.append(type(error).__name__)
        return []

    with serving(WSGI(application)) as server:
        with ask(server) as sock:
            sock.recv(100)
        assert until(lambda: told == ["ConnectionAbortedError"])


def test_a_server_that_closes_ends_what_waits_for_clients() -> None:
    content = Content(b"x" * 10_000 for _ in iter(int, 1))
    with serving(WSGI(giving(content))) as server:
        sock = ask(server)
        sock.recv(100)
    assert content.closed == ["httpd-worker"]
    with sock, pytest.raises(ConnectionResetError):
        read_to_end(sock)


def test_a_client_that_takes_nothing_is_cut() -> None:
    content = Content(b"x" * 10_000 for _ in iter(int, 1))
    with serving(WSGI(giving(content)), limits=Limits(stall_time=0.2)) as server, ask(server):
        assert until(lambda: content.closed)


def test_eight_stream_at_once_and_a_ninth_comes_after_them() -> None:
    go = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield environ["PATH_INFO"].encode()
        go.wait(10)
        yield b" ended"

    with serving(WSGI(application)) as server:
        socks = [ask(server, get(f"/{number}")) for number in range(8)]
        for sock in socks:
            sock.recv(1, socket.MSG_PEEK)
        socks.append(ask(server, get("/8")))
        socks[8].settimeout(0.1)
        with pytest.raises(TimeoutError):
            socks[8].recv(1)
        socks[8].settimeout(10)
        go.set()
        for number, sock in enumerate(socks):
            with sock:
                assert read_to_end(sock).endswith(b"\r\n\r\n/%d ended" % number)


def test_gzip_goes_around_it() -> None:
    text = [b"a line that repeats itself\n" * 100]
    exchange = Exchange([get("/", "Accept-Encoding: gzip")], Gzipped(WSGI(giving(iter(text)))))
    [answer] = exchange.answers()
    import zlib

    assert zlib.decompress(answer.body, 31) == text[0]


def test_what_is_around_it_may_refuse_what_it_gave() -> None:
    """An answer that nobody takes is given up, or its thread would wait for ever."""
    content = Content(b"x" * 10_000 for _ in iter(int, 1))
    inner, asked = WSGI(giving(content)), []

    def site(request: Request) -> Any:
        asked.append(request)
        if len(asked) > 1:
            raise HTTPError(403)
        return inner(request)

    with serving(site) as server:
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 403
        assert until(lambda: content.closed)
