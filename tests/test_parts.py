"""httpd.site.parts: what a Range gives, over real sockets, read by h11 and by http.client."""

from __future__ import annotations

import email
import http.client
import os
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from httpd import Server, StaticFiles
from httpd.net import producers
from httpd.protocol.validators import http_date
from httpd.site.entities import SMALL, Entities

from .exchange import Answer, Exchange, get, read_answers, serving, talk
from .static_rows import read_parts
from .test_entities import Clock
from .tools import open_descriptors
from .workbench import noise

# One that is sent from memory, one that is sent from its descriptor.
FILES = {"small.txt": noise(1_000), "big.bin": noise(3 * SMALL + 1)}
# A Friday in 2024, and a part of a second that no date tells.
MODIFIED_NS = 1_717_171_717_123_456_789
MODIFIED = MODIFIED_NS // 10**9

# Range → the parts that are sent, as slices of the content; 416 where it has none of them, 200 where the field counts
# for nothing.  {size} and {last} are those of the content.
RANGES: list[tuple[str, list[slice] | int]] = [
    # ---- one part
    ("bytes=0-4", [slice(0, 5)]),
    ("bytes=7-7", [slice(7, 8)]),
    ("bytes=500-", [slice(500, None)]),
    ("bytes=0-", [slice(0, None)]),
    ("bytes={last}-", [slice(-1, None)]),
    ("bytes=500-99999999999999999999999", [slice(500, None)]),
    ("bytes=-300", [slice(-300, None)]),
    ("bytes=-99999999999999999999999", [slice(0, None)]),
    # ---- several
    ("bytes=0-4,100-149", [slice(0, 5), slice(100, 150)]),
    ("bytes=900-949, 0-4, -7", [slice(900, 950), slice(0, 5), slice(-7, None)]),
    ("bytes=0-4,{size}-", [slice(0, 5)]),
    ("bytes=0-99,50-149", [slice(0, 150)]),
    ("bytes=0-99,100-149", [slice(0, 150)]),
    ("bytes=0-49,500-,100-149,50-99", [slice(0, 150), slice(500, None)]),
    ("bytes=" + ",".join(f"{at}-{at + 9}" for at in range(0, 320, 20)), [slice(n, n + 10) for n in range(0, 320, 20)]),
    # ---- none
    ("bytes={size}-", 416),
    ("bytes=99999999999-999999999999", 416),
    ("bytes=-0", 416),
    ("bytes=5-2", 416),
    # ---- ignored
    ("lines=0-4", 200),
    ("bytes=x", 200),
    ("bytes", 200),
    ("bytes=" + ",".join(f"{at}-{at}" for at in range(0, 34, 2)), 200),
    ("bytes=90-90,80-80,70-70,60-60,50-50,40-40", 200),
]


def make(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(MODIFIED_NS, MODIFIED_NS))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(StaticFiles(make(tmp_path_factory.mktemp("www")))) as server:
        yield server


def ask(server: Server, name: str, *fields: str, version: str = "1.1", method: str = "GET") -> Answer:
    """One request over its own connection, as h11 reads the answer."""
    [answer] = read_answers(
        talk(server, get(f"/{name}", *fields, "Connection: close", version=version, method=method)), [method]
    )
    return answer


def position(part: slice, size: int) -> str:
    start, stop, _ = part.indices(size)
    return f"bytes {start}-{stop - 1}/{size}"


def parts_of(kind: str, body: bytes) -> list[tuple[str, str, bytes]]:
    """(Content-Range, Content-Type, bytes) of each part of a multipart/byteranges, as the mail parser reads it."""
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    found = []
    for part in message.get_payload():
        assert isinstance(part, Message)
        payload = part.get_payload()
        assert isinstance(payload, str)
        found.append((part["Content-Range"], part["Content-Type"], payload.encode("ascii", "surrogateescape")))
    return found


def check(answer: Answer, content: bytes, expected: list[slice] | int) -> None:
    """Hold an answer to its row."""
    if expected == 416:
        assert (answer.status, answer["content-range"]) == (416, f"bytes */{len(content)}")
    elif expected == 200:
        assert (answer.status, answer["content-range"], answer["accept-ranges"]) == (200, "", "bytes")
        assert answer.body == content
    else:
        assert isinstance(expected, list)
        assert answer.status == 206
        check_parts(answer, content, expected)
    assert int(answer["content-length"]) == len(answer.body)


def check_parts(answer: Answer, content: bytes, expected: list[slice]) -> None:
    assert read_parts(answer) == [(position(part, len(content)), content[part]) for part in expected]
    if len(expected) > 1:
        assert answer["content-range"] == ""
        assert answer["content-type"].partition("boundary=")[2].encode() not in content


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("value", "expected"), RANGES)
def test_ranges(server: Server, value: str, expected: list[slice] | int, name: str, version: str) -> None:
    content = FILES[name]
    value = value.format(size=len(content), last=len(content) - 1)
    check(ask(server, name, f"Range: {value}", version=version), content, expected)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("value", ["bytes=0-4", "bytes=5-2", "bytes=0-4,100-149"])
def test_a_range_is_nothing_to_head(server: Server, value: str, name: str) -> None:
    answer = ask(server, name, f"Range: {value}", method="HEAD")
    assert (answer.status, answer["content-length"], answer["content-range"]) == (200, str(len(FILES[name])), "")
    assert answer["accept-ranges"] == "bytes"


@pytest.mark.parametrize("name", FILES)
def test_a_part_has_the_fields_of_the_whole(server: Server, name: str) -> None:
    whole, part = ask(server, name), ask(server, name, "Range: bytes=1-2")
    several = ask(server, name, "Range: bytes=1-2,5-6")
    for field in ("ETag", "Last-Modified", "X-Content-Type-Options", "Accept-Ranges"):
        assert whole[field] == part[field] == several[field] != ""
    assert part["Content-Type"] == whole["Content-Type"]
    kind = f"Content-Type: {whole['Content-Type']}\r\n".encode()
    assert several.body.count(kind) == 2


def test_several_parts_as_another_reader_finds_them(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("0123456789" * 10)
    with serving(StaticFiles(tmp_path)) as server:
        answer = ask(server, "text.txt", "Range: bytes=0-4,-3")
    kind = "text/plain; charset=utf-8"
    assert parts_of(answer["content-type"], answer.body) == [
        ("bytes 0-4/100", kind, b"01234"),
        ("bytes 97-99/100", kind, b"789"),
    ]


def test_two_field_lines_are_no_range(server: Server) -> None:
    assert ask(server, "small.txt", "Range: bytes=0-4", "Range: bytes=6-7").status == 200


# ---- If-Range and the preconditions

# If-Range → whether the part is sent.  {etag} is the present tag, the dates are those at, before and after the time.
IF_RANGE = [
    ("{etag}", True),
    ("W/{etag}", False),
    ('"another"', False),
    ("*", False),
    ("{etag}, {etag}", False),
    (http_date(MODIFIED), True),
    ("Friday, 31-May-24 16:08:37 GMT", True),
    ("Fri May 31 16:08:37 2024", True),
    (http_date(MODIFIED - 1), False),
    (http_date(MODIFIED + 1), False),
    ("yesterday", False),
]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("value", "holds"), IF_RANGE)
def test_if_range(server: Server, value: str, holds: bool, name: str, version: str) -> None:
    content = FILES[name]
    condition = "If-Range: " + value.format(etag=ask(server, name)["ETag"])
    check(
        ask(server, name, "Range: bytes=-5", condition, version=version), content, [slice(-5, None)] if holds else 200
    )
    check(ask(server, name, "Range: bytes=5-2", condition, version=version), content, 416 if holds else 200)
    check(ask(server, name, condition, version=version), content, 200)


# The other conditions → the status of a plain GET, and of one with a Range.
CONDITIONS = [
    ("If-None-Match: {etag}", 304, 304),
    ("If-None-Match: W/{etag}", 304, 304),
    ('If-None-Match: "x", W/"y" ,, {etag}', 304, 304),
    ("If-None-Match: *", 304, 304),
    ('If-None-Match: "x", "y"', 200, 206),
    ("If-Match: {etag}", 200, 206),
    ('If-Match: "x", {etag}', 200, 206),
    ("If-Match: *", 200, 206),
    ('If-Match: "x"', 412, 412),
    ("If-Match: W/{etag}", 412, 412),
    (f"If-Unmodified-Since: {http_date(MODIFIED)}", 200, 206),
    (f"If-Unmodified-Since: {http_date(MODIFIED - 1)}", 412, 412),
    ("If-Unmodified-Since: never", 200, 206),
    (f"If-Modified-Since: {http_date(MODIFIED)}", 304, 304),
    ("If-Modified-Since: Friday, 31-May-24 16:08:37 GMT", 304, 304),
    ("If-Modified-Since: Fri May 31 16:08:37 2024", 304, 304),
    (f"If-Modified-Since: {http_date(MODIFIED + 1)}", 304, 304),
    (f"If-Modified-Since: {http_date(MODIFIED - 1)}", 200, 206),
    ("If-Modified-Since: Fri, 31 Feb 2024 16:08:37 GMT", 200, 206),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("field", "plain", "ranged"), CONDITIONS)
def test_conditions_come_before_ranges(server: Server, field: str, plain: int, ranged: int, name: str) -> None:
    field = field.format(etag=ask(server, name)["ETag"])
    assert ask(server, name, field).status == plain
    assert ask(server, name, field, "Range: bytes=0-4").status == ranged
    assert ask(server, name, field, method="HEAD").status == plain


# ---- how it is sent


@pytest.mark.parametrize("value", ["bytes=7-", "bytes=-100000", "bytes=0-69999,80000-149999,-3"])
@pytest.mark.parametrize("end", [0, 10_000], ids=["of a copy", "of the file"])
def test_parts_of_a_big_file_go_by_sendfile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int, value: str
) -> None:
    """All of a copy, and of a file itself all but the ends."""
    sent = 0
    real = os.sendfile
    entities = Entities(max_bytes=0 if end else 1 << 20, clock=Clock())

    def counted(*arguments: int) -> int:
        nonlocal sent
        count = real(*arguments)
        sent += count
        return count

    monkeypatch.setattr(producers, "copied_end", lambda length: end)
    with serving(StaticFiles(make(tmp_path), entities=entities)) as server:
        assert ask(server, "big.bin", method="HEAD").status == 200
        monkeypatch.setattr(os, "sendfile", counted)
        answer = ask(server, "big.bin", f"Range: {value}")
    assert answer.status == 206
    ends = 2 * end + 3 * bool(end) if "," in value else end
    assert 0 <= len(answer.body) - sent - ends < 1_000
    assert sent >= 90_000


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Range: bytes=5-9"], [slice(5, 10)]),
        (["Range: bytes=5-9,100-900"], [slice(5, 10), slice(100, 901)]),
        (["Range: bytes=5-2"], 416),
        (["Range: bytes=5-9", 'If-Range: "stale"'], 200),
    ],
)
@pytest.mark.parametrize("takes", [[], [1] * 2_000])
def test_parts_on_a_wire_without_sendfile(
    tmp_path: Path, name: str, fields: list[str], expected: list[slice] | int, takes: list[int]
) -> None:
    """Two answers on one connection: the first ends where it says."""
    site = StaticFiles(make(tmp_path))
    exchange = Exchange([get(f"/{name}", *fields), get(f"/{name}", *fields)], site, takes=takes)
    first, second = exchange.answers()
    check(first, FILES[name], expected)
    check(second, FILES[name], expected)
    assert first.keeps_alive
    site.entities.clear()


@pytest.mark.cut
def test_a_client_that_leaves_in_the_middle_of_a_part_costs_no_descriptor(tmp_path: Path) -> None:
    site = StaticFiles(make(tmp_path))
    before = open_descriptors()
    exchange = Exchange([get("/big.bin", "Range: bytes=0-69999,80000-149999")], site, room=1_000)
    exchange.handler.close()
    site.entities.clear()
    assert open_descriptors() == before


def test_http_client_reads_parts_on_one_connection(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    content = FILES["big.bin"]
    whole = b""
    for start in range(0, len(content), 50_000):
        client.request("GET", "/big.bin", headers={"Range": f"bytes={start}-{start + 49_999}"})
        response = client.getresponse()
        assert response.status == 206
        whole += response.read()
    client.request("GET", "/big.bin", headers={"Range": f"bytes={len(content)}-"})
    response = client.getresponse()
    assert (response.status, response.getheader("Content-Range")) == (416, f"bytes */{len(content)}")
    response.read()
    client.close()
    assert whole == content
