"""Forms in parts: what was filled in arrives as it was, or not at all, wherever the bytes are cut."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import Body, HTTPError, Limits, Request, Response, Router, text
from httpd.protocol.files import File, sane_name
from httpd.protocol.multipart import MultipartReader, PartLimits, parse_multipart
from httpd.server.handler import State

from .exchange import EOF, GET, RESET, Exchange, post
from .factories import request
from .scripted import cut_at, every_cut

TYPE = "multipart/form-data; boundary=XyZ"


def field(name: str, value: bytes | str, *lines: str, disposition: str = "") -> bytes:
    """A part, with the boundary before it."""
    said = disposition or f'Content-Disposition: form-data; name="{name}"'
    octets = value.encode() if isinstance(value, str) else value
    return b"--XyZ\r\n" + "\r\n".join([said, *lines, "", ""]).encode() + octets + b"\r\n"


def file(name: str, filename: str, content: bytes, *lines: str) -> bytes:
    said = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return field(name, content, *(lines or ("Content-Type: text/plain",)), disposition=said)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XyZ--\r\n"


def fed(reader: MultipartReader, body: bytes) -> None:
    reader.feed(body)
    reader.finish()


def refused(body: bytes, content_type: str = TYPE, limits: PartLimits | None = None) -> HTTPError:
    reader = MultipartReader(content_type, limits)
    with contextlib.closing(reader), pytest.raises(HTTPError) as caught:
        fed(reader, body)
    return caught.value


# ---- reading


def test_fields_and_files_in_their_order() -> None:
    body = form(field("a", "1"), file("f", "x.txt", b"one\r\n--Xy"), field("b", "zwei Äpfel"), field("a", "3"))
    fields, files = parse_multipart(TYPE, body)
    assert list(fields.items()) == [("a", "1"), ("b", "zwei Äpfel"), ("a", "3")]
    assert fields.get_all("a") == ["1", "3"]
    found = files["f"]
    assert (found.name, found.filename, found.content_type, found.size) == ("f", "x.txt", "text/plain", 9)
    assert found.file.read() == b"one\r\n--Xy"
    assert (files.get("g"), files.get("f"), len(files), list(files)) == (None, found, 1, ["f"])
    assert repr(found) == "<File 'x.txt' of 9 bytes>"
    with pytest.raises(HTTPError, match="lacks the file 'g'"):
        files["g"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--XyZ--", []),
        (b"--XyZ--\r\n", []),
        (b"\r\n" + form(field("a", "1")), [("a", "1")]),
        (b"a preamble\r\n" + form(field("a", "1")) + b"an epilogue", [("a", "1")]),
        (form(field("a", "")), [("a", "")]),
        (form(field("", "x")), [("", "x")]),
        (form(field("a%22b%0D%0Ac", "x")), [('a"b\r\nc', "x")]),
        (form(field("a", "x", "Content-Type: text/plain; charset=UTF-8")), [("a", "x")]),
        (form(field("a", "x", "Content-Transfer-Encoding: 8bit")), [("a", "x")]),
        (form(field("a", b"--XyY\r\n--XyZ?"[:11])), [("a", "--XyY\r\n--Xy")]),
        (form(field("", "x", disposition="content-disposition: form-data; name=token")), [("token", "x")]),
    ],
)
def test_what_is_read(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert list(parse_multipart(TYPE, body)[0].items()) == expected


def test_a_file_that_nobody_chose_is_none() -> None:
    fields, files = parse_multipart(TYPE, form(file("f", "", b""), file("g", "", b"x"), file("h", "empty", b"")))
    assert (len(fields), list(files)) == (0, ["g", "h"])


def test_a_file_may_be_of_parts_and_of_no_known_type() -> None:
    kinds = ["Content-Type: multipart/related; boundary=q", "Content-Type: text/plain; charset=utf-16", "X-Other: 1"]
    files = parse_multipart(TYPE, form(*(file("f", "a.bin", b"\xff", kind) for kind in kinds)))[1]
    found = [each.content_type for each in files.get_all("f")]
    assert found == ["multipart/related", "text/plain", "application/octet-stream"]


@given(st.lists(st.tuples(st.text("ab é\n", min_size=1, max_size=5), st.text(max_size=40)), max_size=5), st.data())
def test_what_is_written_comes_back_wherever_it_is_cut(items: list[tuple[str, str]], data: st.DataObject) -> None:
    items = [(name, value.replace("--XyZ", "")) for name, value in items]
    body = form(*(field(name.replace("\n", "%0A"), value) for name, value in items))
    reader = MultipartReader(TYPE)
    for piece in cut_at(body, data.draw(st.lists(st.integers(0, len(body)), max_size=8))):
        reader.feed(piece)
    assert list(reader.finish()[0].items()) == items


# ---- refusing


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ('multipart/form-data; boundary="a "', 400),
        ('multipart/form-data; boundary="a{}"', 400),
        ("multipart/form-data; boundary=" + 71 * "a", 400),
        ("multipart/mixed; boundary=a", 415),
    ],
)
def test_a_type_that_does_not_do(content_type: str, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        MultipartReader(content_type)
    assert caught.value.status == status


CORNERS = {
    "nothing": (b"", 400, "ends within"),
    "no boundary": (b"a=b", 400, "ends within"),
    "no final boundary": (field("a", "1"), 400, "ends within its part 1"),
    "cut in the boundary": (form(field("a", "1"))[:-4], 400, "ends within"),
    "another boundary": (form(field("a", "1")).replace(b"XyZ", b"other"), 400, "ends within"),
    "bare LF": (form(field("a", "1")).replace(b"\r\n", b"\n"), 400, "cannot be read"),
    "LF in a head": (form(field("a\nb", "1")), 400, "control character"),
    "NUL in a head": (form(field("a\0b", "1")), 400, "control character"),
    "a name in latin-1": (form(field("a", "1")).replace(b'"a"', b'"\xe4"'), 400, "cannot be read"),
    "a value in latin-1": (form(field("a", b"\xe4")), 400, "'a' is not UTF-8"),
    "a value said to be in latin-1": (form(field("a", "1", "Content-Type: text/plain; charset=latin-1")), 415, "'a'"),
    "no name": (form(field("", "1", disposition="Content-Disposition: form-data")), 400, "of which field"),
    "no disposition": (form(field("", "1", disposition="X-A: b")), 400, "cannot be read"),
    "another disposition": (form(field("", "1", disposition="Content-Disposition: attachment; name=a")), 400, "read"),
    "two dispositions": (form(field("a", "1", 'Content-Disposition: form-data; name="b"')), 400, "of which field"),
    "no colon": (form(field("a", "1", "nonsense")), 400, "cannot be read"),
    "a type that is none": (form(field("a", "1", "Content-Type: text")), 400, "'a' has a Content-Type"),
    "base64": (form(field("a", "MQ==", "Content-Transfer-Encoding: base64")), 415, "'a' is encoded"),
    "nested": (form(field("a", "--q--", "Content-Type: multipart/mixed; boundary=q")), 415, "'a' has parts"),
    "a huge line": (form(field("a", "1", "X-A: " + 5000 * "a")), 413, "cannot be read"),
    "a huge line without end": (b"--XyZ\r\nX-A: " + 5000 * b"a", 413, "cannot be read"),
    "many lines": (form(field("a", "1", *(f"X-{n}: 1" for n in range(9)))), 413, "cannot be read"),
    "a long name": (form(field("a" * 1025, "1")), 413, "longer than 1024"),
    "10,000 parts": (form(field("a", "1") * 10_000), 413, "More than 1000 parts"),
    "many files": (form(file("a", "b", b"1") * 101), 413, "More than 100 files"),
    "a long value": (form(field("a", b"a" * 1_048_577)), 413, "the field 'a' is longer than 1048576 bytes"),
    "much text": (form(*(field(name, b"a" * 700_000) for name in "abc")), 413, "2097152 bytes of text"),
    "bytes after a boundary": (form(field("a", "1")).replace(b"--XyZ--", b"--XyZ-+"), 400, "cannot be read"),
}


@pytest.mark.parametrize("name", CORNERS)
def test_a_corner_gets_a_clear_answer(name: str) -> None:
    body, status, reason = CORNERS[name]
    error = refused(body)
    assert error.status == status
    assert reason in error.detail


def test_a_file_has_its_own_limit_and_is_named() -> None:
    body = form(file("photo", "a.jpg", b"12345"))
    error = refused(body, limits=PartLimits(file=4))
    assert (error.status, error.detail) == (413, "The file in 'photo' is longer than 4 bytes.")
    assert MultipartReader(TYPE, PartLimits(file=5)).feed(body) is None


def test_a_field_has_its_own_limit_too() -> None:
    body = form(field("one", "1234"), field("two", "12345"))
    error = refused(body, limits=PartLimits(value=4))
    assert (error.status, error.fields) == (413, {"two": "This is longer than 4 bytes."})
    reader = MultipartReader(TYPE, PartLimits(value=5))
    reader.feed(body)
    assert len(reader.finish()[0]) == 2


@pytest.mark.parametrize("name", ["a value in latin-1", "a value said to be in latin-1", "base64", "a long value"])
def test_the_field_that_is_to_blame_is_named(name: str) -> None:
    assert list(refused(CORNERS[name][0]).fields) == ["a"]


def test_a_long_name_is_not_shown_whole() -> None:
    assert len(refused(form(field("a" * 900, b"\xff"))).detail) < 200


# ---- names


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        (".bashrc", "bashrc"),
        (" ..\u200b .. a .", "a"),
        ("..", ""),
        ("", ""),
        ("a/", ""),
        ("a\r\nb\0c\x7f.txt", "abc.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("A\u0308pfel.txt", "Äpfel.txt"),
        ("\ud800", ""),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("é" * 300, "é" * 100),
        ("a." + "b" * 300, ("a." + "b" * 300)[:200]),
    ],
)
def test_a_name_is_made_sane(given: str, ours: str) -> None:
    assert sane_name(given) == ours


@given(st.text())
def test_a_sane_name_stays_in_its_folder_and_stays_as_it_is(given: str) -> None:
    name = sane_name(given)
    assert not set(name) & set("/\\\0\r\n")
    assert not name.startswith(".")
    assert len(name.encode()) <= 200
    assert sane_name(name) == name


def test_the_name_that_a_file_has_is_the_sane_one() -> None:
    files = parse_multipart(TYPE, form(file("f", "../../.x/..\\.ssh", b"1")))[1]
    assert files["f"].filename == "ssh"


# ---- from a request


def test_a_request_has_its_form_and_its_files() -> None:
    asked = request("/", "POST", headers={"Content-Type": TYPE}, body=form(field("a", "1"), file("f", "x", b"22")))
    assert asked.files["f"].size == 2
    assert asked.form["a"] == "1"
    assert asked.form is asked.form
    plain = request("/", "POST", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=b"a=1")
    assert (len(plain.files), plain.form["a"]) == (0, "1")


# ---- through the handler


KEPT: list[io.BytesIO] = []


def still_open() -> int:
    """How many of the files that were made are not closed."""
    return sum(not each.closed for each in KEPT)


@pytest.fixture(autouse=True)
def _files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = File.__init__

    def counted(self: File, *what: str) -> None:
        made(self, *what)
        KEPT.append(self.file)  # type: ignore[arg-type]

    monkeypatch.setattr(File, "__init__", counted)
    KEPT.clear()


def site(answer: Callable[[Request], Response] | None = None, **more: object) -> Router:
    """Takes a megabyte at /up and tells what came."""
    router = Router()

    def told(request: Request) -> Response:
        assert request.body == b""
        files = [f"{each.filename}:{each.file.read().decode()}" for _, each in request.files.items()]
        return text(repr([*request.form.items(), *files]))

    router.post("/up", body=Body(1_000_000, **more))(answer or told)  # type: ignore[arg-type]
    router.post("/plain")(lambda request: text(str(len(request.body))))
    return router


def up(body: bytes, *lines: str, path: str = "/up") -> bytes:
    return post(body, f"Content-Type: {TYPE}", *lines, path=path)


FILLED = form(field("a", "1"), file("f", "x.txt", b"\r\n--XyYtail"), field("b", "2"))


def test_a_form_is_the_same_wherever_it_is_cut() -> None:
    wire = up(FILLED) + GET
    whole = Exchange([wire], site()).output
    assert rb"[('a', '1'), ('b', '2'), 'x.txt:\r\n--XyYtail']" in whole
    for pieces in every_cut(wire):
        exchange = Exchange(pieces, site())
        assert exchange.output == whole
        assert still_open() == 0
    assert [answer.status for answer in Exchange([wire], site()).answers("POST")] == [200, 404]


@pytest.mark.parametrize("name", [name for name, (body, _, _) in CORNERS.items() if len(body) < 1000])
def test_a_refusal_is_the_same_wherever_it_is_cut(name: str) -> None:
    body, status, _ = CORNERS[name]
    wire = up(body + b"\r\n", "Accept: text/plain")
    whole = Exchange([wire, EOF], site())
    [answer] = whole.answers("POST")
    assert (answer.status, answer.keeps_alive) == (status, False)
    for pieces in every_cut(wire):
        assert Exchange([*pieces, EOF], site()).output == whole.output
    assert still_open() == 0


@pytest.mark.parametrize("name", ["10,000 parts", "many files", "a huge line"])
def test_a_large_refusal_comes_before_the_end_of_the_content(name: str) -> None:
    body, status, _ = CORNERS[name]
    wire = up(body[:990_000].ljust(990_000, b"-"))
    exchange = Exchange([wire[at : at + 16_384] for at in range(0, 900_000, 16_384)], site())
    assert exchange.output.startswith(b"HTTP/1.0 %d " % status)
    assert still_open() == 0


def test_the_files_are_closed_whatever_happens() -> None:
    begun = up(form(file("f", "x", b"1" * 200_000)))[:100_000]
    exchange = Exchange([begun], site())
    assert (exchange.state, still_open()) == (State.READ_BODY, 1)
    assert Exchange([begun, EOF], site()).closed
    exchange.feed(RESET)
    assert (exchange.closed, still_open()) == (True, 0)
    for answer in (lambda request: 1 / 0, lambda request: "no response"):
        failed = Exchange([up(FILLED)], site(answer))  # type: ignore[arg-type]
        assert failed.output.startswith(b"HTTP/1.0 500 ")
    assert still_open() == 0


def test_a_file_is_open_until_the_answer_is_sent() -> None:
    seen: list[File] = []

    def answer(request: Request) -> Response:
        seen.append(request.files["f"])
        return text("x" * 1000)

    exchange = Exchange([up(FILLED)], site(answer), room=500)
    assert not seen[0].file.closed
    exchange.take()
    assert seen[0].file.closed


def test_a_route_takes_so_much_and_no_more() -> None:
    long = up(form(field("a", "1")).ljust(1_000_001))
    [answer] = Exchange([long[:5000], EOF], site()).answers("POST")
    assert (answer.status, answer.keeps_alive) == (413, False)
    assert b"1000000 bytes" in answer.body
    assert Exchange([up(b"", path="/plain").replace(b"h: 0", b"h: 2000000")], site()).output.startswith(b"HTTP/1.0 413")


def test_a_route_may_take_more_than_is_usual_and_only_as_a_form_in_parts() -> None:
    limits = Limits(body=100)
    assert Exchange([up(FILLED)], site(), limits=limits).answers("POST")[0].status == 200
    [other] = Exchange([post(b"x" * 101, "Content-Type: a/b", path="/up"), EOF], site(), limits=limits).answers("POST")
    assert (other.status, b"no form in parts" in other.body) == (413, True)
    missing = Exchange([up(FILLED, path="/plain"), EOF], site(), limits=limits).answers("POST")[0]
    assert (missing.status, b"More than 100 bytes" in missing.body) == (413, True)
    nowhere = Exchange([up(FILLED, path="/nowhere"), EOF], site(), limits=limits).answers("POST")[0]
    assert nowhere.status == 404


def test_a_route_says_of_what_kind() -> None:
    router = site(types=["application/json"])
    for expects in ((), ("Expect: 100-continue",)):
        [answer] = Exchange([up(FILLED, *expects), EOF], router).answers("POST")
        assert (answer.status, answer["accept"], answer.interim) == (415, "application/json", [])
    assert Body(1, types="Text/Plain").types == ("text/plain",)
    with pytest.raises(ValueError):
        Body(-1)


def test_who_waits_to_be_told_is_told_and_then_read() -> None:
    wire = up(FILLED, "Expect: 100-continue")
    head = len(wire) - len(FILLED)
    exchange = Exchange([wire[:head]], site())
    assert exchange.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert exchange.feed(FILLED).answers("POST")[0].status == 200


def test_a_form_that_comes_too_slowly_is_given_up() -> None:
    exchange = Exchange([up(FILLED)[:-20]], site())
    exchange.wait(25)
    assert exchange.output.startswith(b"HTTP/1.0 408 ")
    assert still_open() == 0
