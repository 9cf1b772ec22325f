"""A folder served by the command, row by row of `static_rows`, over HTTP/1.0 and HTTP/1.1, by GET and by HEAD."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import pytest

from .exchange import get, read_answers
from .live import LiveServer
from .static_rows import ROWS, Known, Row, Way, ask, check, fetch, known, make_site, written

# What is said of one answer, or of one connection, and not of the resource.
OF_THE_ANSWER = {"date", "connection"}


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with LiveServer(make_site(tmp_path_factory.mktemp("www")), "--access-log", "off") as server:
        yield server.port


@pytest.fixture(scope="module", params=["TLS", "a unix socket", "many options"])
def other_way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """The same site by other ways, and with options that have nothing to do with what is asked."""
    folder = tmp_path_factory.mktemp("www")
    path = str(folder / "socket")
    (folder / "passwords").write_text("keeper:$2y$05$" + "a" * 53 + "\n")
    options = {
        "TLS": ["--tls-self-signed"],
        "a unix socket": ["--unix", path, "--bind", "127.0.0.1"],
        "many options": [
            "--gzip", "--cors", "--header", "X-Every: answer", "--host", f"b={folder / 'outside'}",
            "--auth", f"/private={folder / 'passwords'}", f"--trace={folder / 'traces'}",
        ],
    }[request.param]  # fmt: skip
    site = make_site(folder)
    with LiveServer(site, "--access-log", "off", *options, env={"XDG_CACHE_HOME": str(folder)}) as server:
        ways = {"TLS": partial(_over_tls, server.port), "a unix socket": partial(_to_unix, path)}
        yield ways.get(request.param, server.port)


def _over_tls(port: int) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))


def _to_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(path)
    return sock


@cache
def validators(way: Way, target: str) -> Known:
    return known(way, target)


def hold(way: Way, row: Row, version: str) -> None:
    """Ask a row; of what is right, the answer is what the row names first."""
    row = replace(row, unmerged=())
    answer = ask(way, row, validators(way, row.target), version)
    assert check(row, answer) == []
    assert answer.status == row.statuses[0]
    assert answer["Content-Length"] == ("" if answer.status in (204, 304) else str(len(answer.body)))
    assert answer["Date"]
    assert answer["Connection"] == "close"


@pytest.mark.programs
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(way: Way, row: Row, version: str) -> None:
    hold(way, row, version)


@pytest.mark.programs
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row_by_another_way(other_way: Way, row: Row) -> None:
    hold(other_way, row, "1.1")


@pytest.mark.programs
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET"], ids=str)
def test_head_of_row(way: Way, row: Row, version: str) -> None:
    """HEAD has the head of GET (RFC 9110 §9.3.2), and nothing behind it; but a 400 shows what it is about."""
    state = validators(way, row.target)
    head, whole = (ask(way, row.without_range(method), state, version) for method in ("HEAD", "GET"))
    differs = OF_THE_ANSWER | ({"content-length"} if head.status == 400 else set())
    same = [[line for line in answer.lines if line[0] not in differs] for answer in (head, whole)]
    assert (head.status, same[0]) == (whole.status, same[1])
    assert head.body == b""


@pytest.mark.programs
def test_all_rows_on_one_connection(way: Way) -> None:
    """Sent at once, answered in order.  What is refused ends a connection, so that is left out."""
    rows = [row for row in ROWS if row.statuses[0] not in (400, 501)]
    requests = [written(row, validators(way, row.target)) for row in rows]
    output = fetch(way, b"".join(requests) + get("/", "Connection: close"))
    *answers, last = read_answers(output, [row.method for row in rows])
    assert [faults for faults in map(check, rows, answers) if faults] == []
    assert len(answers) == len(rows)
    assert all(answer.keeps_alive for answer in answers)
    assert (last.status, last.keeps_alive) == (200, False)


def test_every_row_has_its_own_name() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS)
