"""The access log's other forms, what a request is called in them, and that nobody can forge a line in any."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import Request, Response, text
from httpd.seeing.logs import FORMATS, JsonLog, TimedLog
from httpd.server.log import AccessLog
from httpd.server.proxies import listed_proxy
from httpd.server.request_ids import RequestIds

from .exchange import EOF, Exchange, get, post, serving, talk
from .factories import request
from .test_log import CALLER, LINE, Book, Caller, head_of

PEER = "192.0.2.1"
TIMED = re.compile(
    LINE.pattern.replace(r":\d\d [+-]", r":\d\d\.\d{3} [+-]").removesuffix(r"\n") + r" (\d+\.\d{6}) ([\w.:+/=@-]+)\n"
)
KEYS = [
    "time", "id", "peer", "status", "bytes", "duration", "user", "host", "method", "target", "version", "referer",
    "user_agent", "refused",
]  # fmt: skip


def written(log_class: type[AccessLog], *calls: Any, clock: float = 0.0) -> list[str]:
    """The lines of a log on which these calls were made."""
    read, write = os.pipe()
    with open(read, "rb") as lines:
        book = Book(f"/dev/fd/{write}", log_class)
        os.close(write)
        book.clock.now = clock
        for call in calls:
            call(book.log)
        book.log.close()
        return lines.read().decode("ascii").splitlines(keepends=True)


# ---- what they say


def test_timed_lines_have_milliseconds_how_long_it_took_and_a_name() -> None:
    head = head_of("/a", Referer="http://b/", User_Agent="curl/8")
    [line, other] = written(
        TimedLog,
        lambda log: log.answered(head, PEER, 404, 1234, Caller(1.0)),
        lambda log: log.refused('GET "', "", 400, 5, CALLER),
        clock=1.2505,
    )
    found = TIMED.fullmatch(line)
    assert found
    peer, stamp, *rest = found.groups()
    assert (peer, *rest) == (
        "192.0.2.1", "GET /a HTTP/1.1", "404", "1234", "http://b/", "curl/8", "0.250500", "f00d0001",
    )  # fmt: skip
    assert re.fullmatch(r"0[567]/Nov/1994:\d\d:\d\d:38\.250 [+-]\d{4}", stamp)
    assert TIMED.fullmatch(other)
    assert other.startswith("unix: - - [")
    assert r'"GET \x22" 400 5 "-" "-" 1.250500 ' in other


def test_json_lines_have_everything_by_name() -> None:
    head = request("/a?b=c", headers={"Referer": "http://b/", "User-Agent": "curl/8"}).head
    head.user = "alice"
    [line] = written(JsonLog, lambda log: log.answered(head, PEER, 404, 1234, Caller(1.0)), clock=1.2505)
    assert json.loads(line) == {
        "time": "1994-11-06T08:49:38.250Z", "id": "f00d0001", "peer": "192.0.2.1", "status": 404, "bytes": 1234,
        "duration": 0.2505, "user": "alice", "host": "example.test", "method": "GET", "target": "/a?b=c",
        "version": "1.1", "referer": "http://b/", "user_agent": "curl/8", "refused": None,
    }  # fmt: skip


def test_json_lines_of_what_was_no_request_have_the_same_names() -> None:
    [line, other] = written(
        JsonLog,
        lambda log: log.refused("GE\0T", "", 400, 5, CALLER),
        lambda log: log.answered(head_of(), PEER, 200, 1, CALLER),
    )
    told = json.loads(line)
    assert (told["peer"], told["refused"], told["method"]) == ("unix:", "GE\0T", None)
    assert list(told) == list(json.loads(other)) == KEYS


@pytest.mark.parametrize(
    ("sent", "read"), [("caf\xc3\xa9", "café"), ("caf\xe9", "café"), ("\u2603", "\u2603"), ("a\udcffb", "a?b")]
)
def test_text_of_a_request_is_utf_8_or_a_character_a_byte(sent: str, read: str) -> None:
    [line] = written(JsonLog, lambda log: log.refused(sent, PEER, 400, 0, CALLER))
    assert json.loads(line)["refused"] == read


# ---- nothing is forged


@pytest.mark.parametrize("name", FORMATS)
@given(st.text(), st.text(), st.text(), st.text())
def test_no_request_can_forge_a_line(name: str, line: str, referer: str, agent: str, user: str) -> None:
    head = request("/", headers={"Referer": referer, "User-Agent": agent}).head
    head.request_line = head.target = line
    head.user = user
    lines = written(
        FORMATS[name],
        lambda log: log.answered(head, PEER, 200, 1, CALLER),
        lambda log: log.refused(line, PEER, 400, 1, CALLER),
    )
    assert len(lines) == 2
    for each in lines:
        assert each.isascii()
        assert re.fullmatch(r"[ -~]+\n", each)
        if name == "json":
            assert list(json.loads(each)) == KEYS
        elif not user:
            assert (TIMED if name == "timed" else LINE).fullmatch(each)


HOSTILE = [
    b'GET /"\\%0a HTTP/1.1\r\nHost: a\r\nUser-Agent: x" 200 5\r\nReferer: \\"\x80\xff\t\xc3\xa9\r\n'
    b"Connection: close\r\n\r\n",
    b'GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a" b\r\nUser-Agent: {"a":1}\r\nConnection: close\r\n\r\n',
    b'\x16\x03"\\\r\n\r\n',
    b"GET /\x00\x1b[31m\xe2\x80\xa8 HTTP/1.1\r\nHost: a\r\n\r\n",
    b'GET /\n127.0.0.1 - - [x] "GET / HTTP/1.1" 200 0 HTTP/1.1\r\nHost: a\r\n\r\n',
]


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_from_the_network_are_one_line_each(name: str, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with serving(access_log=str(path), log_class=FORMATS[name]) as server:
        for data in HOSTILE:
            talk(server, data)
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert re.fullmatch(r"[ -~]+\n", line)
        if name == "json":
            assert json.loads(line)["peer"] == "127.0.0.1"
        else:
            assert (TIMED if name == "timed" else LINE).fullmatch(line)


# ---- what a request is called


def test_names_are_all_different_and_begin_anew_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = RequestIds()
    names = [ids.name(head_of(), "a") for _ in range(3)]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{20}", name) for name in names)
    assert len({name[:12] for name in names}) == 1
    monkeypatch.setattr(os, "getpid", lambda: -2)
    assert ids.name("", "a")[:12] != names[0][:12]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("7b1e-4f2a.AZ_:+/=@", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ('a"b', False),
        ("a, b", False),
        ("\xe9", False),
    ],
)
def test_a_listed_proxy_is_believed_if_the_name_is_well_formed(given: str, taken: bool) -> None:
    ids = RequestIds(lambda peer: peer == "192.0.2.1")
    head = head_of("/", X_Request_Id=given)
    assert (ids.name(head, "192.0.2.1") == given) is taken
    assert ids.name(head, "192.0.2.2") != given
    assert RequestIds().name(head, "192.0.2.1") != given


def failing(request: Request) -> Response:
    raise RuntimeError("no")


def test_an_error_in_a_handler_is_told_with_the_name_that_the_log_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "access.log"
    with serving(failing, access_log=str(path), log_class=JsonLog) as server:
        talk(server, get("/a") + get("/b", "Connection: close"))
    named = re.findall(r"answering GET (/.) HTTP/1.1 failed \(request (\w+)\)", caplog.text)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert named == [(told["target"], told["id"]) for told in lines]
    assert len({name for _, name in named}) == 2


def test_a_request_takes_from_its_first_byte_to_the_last_of_its_answer() -> None:
    class Times:
        def __init__(self) -> None:
            self.told: list[float] = []

        def answered(self, asked: Any, peer: str, status: int, size: int, channel: Any) -> None:
            self.told.append(channel.timers.clock() - channel.asked_at)

        refused = answered

    exchange = Exchange([], lambda request: text("x" * 100), room=0)
    times: Any = Times()
    exchange.handler.log = times
    exchange.wait(5).feed(b"GET / ").wait(2).feed(b"HTTP/1.1\r\nHost: a\r\n\r\n").wait(3).take()
    exchange.wait(1).feed(post(b"ab")[:-2]).wait(4).feed(b"ab")
    exchange.wait(1).feed(b"nonsense").wait(2).feed(b"\r\n\r\n", EOF)
    assert times.told == [5.0, 4.0, 2.0]


# ---- behind a proxy


@pytest.mark.parametrize("listed", [True, False])
def test_only_a_listed_proxy_says_who_asked_and_what_the_request_is_called(listed: bool, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    proxies = [listed_proxy("x-forwarded=127.0.0.1")] if listed else []
    with serving(access_log=str(path), log_class=JsonLog, proxies=proxies) as server:
        fields = "X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.8", "X-Request-Id: of-the-proxy"
        talk(server, get("/", *fields, "Connection: close"))
    told = json.loads(path.read_text())
    assert (told["peer"], told["id"] == "of-the-proxy") == ("203.0.113.7" if listed else "127.0.0.1", listed)
