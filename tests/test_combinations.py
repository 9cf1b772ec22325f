"""What must hold between answers, whatever options a site is served with, and whatever a request asks for at once.

No table says here what is right for one request.  Each address is asked with every combination of the fields that may
change an answer; each of these again by HEAD, with a condition that holds, and for a part.  The answers must agree.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import bcrypt
import pytest

from .exchange import Answer, get, read_answers
from .live import LiveServer
from .static_rows import fetch

pytestmark = pytest.mark.programs

ORIGIN = "https://app.example"
OPTIONS = {
    "gzip": ["--gzip"],
    "cors": [f"--cors={ORIGIN}"],
    "header": ["--header", "X-Every: answer", "--header", "Vary: X-Every"],
    "auth": ["--auth", "/secret=users"],
    "spa": ["--spa"],
    "host": ["--host", "b=other"],
    "no listing": ["--no-listing"],
}
# None, all, and all but one.
CHOSEN = [(), tuple(OPTIONS), *(tuple(name for name in OPTIONS if name != without) for without in OPTIONS)]

# What a field may be; the first is that it is not there.
FIELDS = {
    "Accept": ["", "application/json"],
    "Accept-Encoding": ["", "gzip"],
    "Authorization": ["", "Basic YTpi"],
    "Origin": ["", ORIGIN],
}

TEXT = b"".join(b"line %d\n" % number for number in range(60))
SITE = {
    "index.html": b"<!doctype html><title>Home</title>",
    "404.html": b"<!doctype html><title>Lost</title>",
    "note.txt": TEXT,
    "big.bin": bytes(70_000),
    "data.json": b"[" + b"17, " * 100 + b"4]",
    "data.json.gz": gzip.compress(b"[" + b"17, " * 100 + b"4]", mtime=0),
    "sub/404.html": b"<!doctype html><title>Lost below</title>",
    "docs/index.html": b"<!doctype html><title>Docs</title>",
    "files/README": TEXT,
    "secret/page.html": b"<!doctype html><title>Secret</title>",
    "ruled.txt": TEXT,
    "_redirects": b"/old /note.txt\n/private /secret/page 200\n/gone /note.txt 404\n",
    "_headers": b"/ruled.txt\n  Vary: X-Rule\n  Cache-Control: max-age=9\n/files/*\n  X-Rule: listed\n",
}
TARGETS = [
    "/", "/note.txt", "/big.bin", "/data.json", "/docs", "/files/", "/files/?sort=size", "/files/?sort=taste", "/sub/",
    "/sub/none", "/none.txt", "/none", "/old", "/gone", "/ruled.txt", "/secret/page", "/private", "/secret/", "/%2e%2e",
]  # fmt: skip


class Asked(NamedTuple):
    """The fields of a request, in the order of FIELDS, each its value; "" is none."""

    accept: str
    coding: str
    credentials: str
    origin: str

    @property
    def lines(self) -> list[str]:
        return [f"{name}: {value}" for name, value in zip(FIELDS, self, strict=True) if value]


EVERY = [Asked(*values) for values in product(*FIELDS.values())]


@pytest.fixture(scope="module", params=CHOSEN, ids=", ".join)
def chosen(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


@pytest.fixture(scope="module")
def port(chosen: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("combined")
    write(folder / "site")
    (folder / "other").mkdir()
    (folder / "users").write_bytes(b"a:" + bcrypt.hashpw(b"b", bcrypt.gensalt(4)) + b"\n")
    options = [word for name in chosen for word in OPTIONS[name]]
    env = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    with LiveServer("site", "--access-log", "off", *options, cwd=folder, env=env) as server:
        yield server.port


def write(site: Path) -> None:
    for name, content in SITE.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)
        os.utime(site / name, (1_717_171_717, 1_717_171_717))


def answers(port: int, target: str, asked: Iterable[list[str]], method: str = "GET") -> list[Answer]:
    """The answers to requests with these field lines, on one connection."""
    requests = [get(target, *lines, method=method) for lines in asked]
    output = fetch(port, b"".join(requests) + get("/", "Connection: close"))
    return read_answers(output, [method] * len(requests))[:-1]


def fields(answer: Answer, *without: str) -> list[tuple[str, str]]:
    """The field lines of an answer, without those that are of the moment or the connection."""
    return [line for line in answer.lines if line[0] not in {"date", "connection", *without}]


def everything(answer: Answer) -> tuple[object, ...]:
    return answer.status, fields(answer), answer.body


def meaning(answer: Answer) -> tuple[object, ...]:
    """What an answer says, in whatever coding."""
    encoded = answer["Content-Encoding"] == "gzip"
    content = gzip.decompress(answer.body) if encoded and answer.body else answer.body
    return answer.status, answer["Content-Type"], content


def values(answer: Answer, name: str) -> list[str]:
    return [value.strip() for key, line in answer.lines if key == name for value in line.split(",")]


@pytest.mark.parametrize("target", TARGETS)
def test_answers_agree(port: int, chosen: tuple[str, ...], target: str) -> None:
    whole = answers(port, target, [asked.lines for asked in EVERY])
    for asked, answer in zip(EVERY, whole, strict=True):
        of_every_answer(chosen, answer)
        assert (answer.status == 401) <= (not asked.credentials and "auth" in chosen)
        assert (b"<title>Secret" in answer.body) <= (bool(asked.credentials) or "auth" not in chosen)
    of_what_it_varies_by(dict(zip(EVERY, whole, strict=True)))
    for answer, head in zip(whole, answers(port, target, [one.lines for one in EVERY], "HEAD"), strict=True):
        assert (head.status, head.body, fields(head)) == (answer.status, b"", fields(answer))
    of_conditions(port, target, whole)
    of_parts(port, target, whole)


def of_every_answer(chosen: tuple[str, ...], answer: Answer) -> None:
    assert answer["Content-Length"] == ("" if answer.status in (204, 304) else str(len(answer.body)))
    assert answer.status < 500
    assert answer["Date"]
    assert answer["X-Content-Type-Options"] == ("" if answer.status == 304 else "nosniff")
    assert answer["X-Every"] == ("answer" if "header" in chosen else "")
    assert ("X-Every" in values(answer, "vary")) == ("header" in chosen)
    assert answer["Access-Control-Allow-Origin"] == (ORIGIN if "cors" in chosen else "")
    assert bool(answer["WWW-Authenticate"]) == (answer.status == 401)
    assert len(set(values(answer, "vary"))) == len(values(answer, "vary"))


def of_what_it_varies_by(answered: dict[Asked, Answer]) -> None:
    """Where another value of a field gives another answer, Vary names the field (RFC 9110 §12.5.5)."""
    for asked, answer in answered.items():
        for place, name in enumerate(FIELDS):
            other = answered[Asked(*(FIELDS[name][0] if at == place else value for at, value in enumerate(asked)))]
            if 401 in (answer.status, other.status):
                # Without the password there is nothing that a cache could give to others.
                continue
            # Whether it is compressed is no difference there: caches give nobody else what credentials got.
            alike = meaning if name == "Authorization" else everything
            if alike(answer) != alike(other):
                for one in (answer, other):
                    assert name in values(one, "vary"), (name, asked, answer, other)


def of_conditions(port: int, target: str, whole: list[Answer]) -> None:
    """Who has it gets a 304 with what a cache needs to go on (RFC 9110 §15.4.5)."""
    asked = [[*one.lines, f"If-None-Match: {answer['ETag'] or '*'}"] for one, answer in zip(EVERY, whole, strict=True)]
    for answer, condition in zip(whole, answers(port, target, asked), strict=True):
        if answer.status != 200:
            assert (condition.status, condition.body) == (answer.status, answer.body)
            continue
        assert (condition.status, condition.body) == (304, b"")
        for name in ("etag", "cache-control", "access-control-allow-origin", "x-every", "x-rule"):
            assert values(condition, name) == values(answer, name), name
        lost = set(values(answer, "vary")) ^ set(values(condition, "vary"))
        # What gzip on the fly leaves as it is has a strong tag; from a 304 with that, nothing tells a file from a page.
        assert lost <= (set() if answer["ETag"].startswith("W/") else {"Accept-Encoding"})


def of_parts(port: int, target: str, whole: list[Answer]) -> None:
    """A part is one of what would have come whole, in the same coding, and says all that the whole says (§15.3.7)."""
    asked = [[*one.lines, "Range: bytes=3-9"] for one in EVERY]
    for lines, answer in zip(asked, whole, strict=True):
        if answer["ETag"]:
            lines.append(f"If-Range: {answer['ETag']}")
    for answer, part in zip(whole, answers(port, target, asked), strict=True):
        if answer["Accept-Ranges"] and answer.status == 200:
            assert (part.status, part.body) == (206, answer.body[3:10])
            assert part["Content-Range"] == f"bytes 3-9/{len(answer.body)}"
            assert fields(part, "content-range", "content-length") == fields(answer, "content-length")
        else:
            assert (part.status, fields(part), part.body) == (answer.status, fields(answer), answer.body)
