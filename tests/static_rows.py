"""What a client may expect of a static site, as one table: a request, and what must come.

`test_static_rows` holds this server to every row; `comparison` puts the same rows to other servers.  A row asks for
what an RFC or plain prudence asks for, and no more, so that it is fair to all of them: where a specification leaves a
choice, every answer it allows is right, and ours stands first.

    site = make_site(folder)
    faults = check(row, ask(port, row, known(port, row.target)))
"""

from __future__ import annotations

import gzip
import html
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

from httpd.protocol.validators import http_date

from .exchange import Answer, get, read_answers

__all__ = ["ROWS", "Known", "Row", "Way", "ask", "check", "fetch", "known", "make_site", "read_parts", "written"]

# Long ago, so that a date tells enough (RFC 9110 §8.8.2.2).
MODIFIED = 1_717_171_717
DAY = 86_400

SECRET = b"what lies outside"
FILM = bytes(range(256)) * 1024
NOTE = b"A line.\n" * 40
DATA = b"[" + b"17, " * 100 + b"4]"
DATA_GZ = gzip.compress(DATA, mtime=0)
SIZE = len(FILM)

FILES = {
    "index.html": b"<!doctype html><title>Home</title><p>home",
    "film.bin": FILM,
    "note.txt": NOTE,
    "empty.txt": b"",
    "style.css": b"p { color: navy }\n",
    "script.mjs": b"export const one = 1;\n",
    "docs/index.html": b"<!doctype html><title>Docs</title><p>docs",
    "files/a b & c.txt": b"odd",
    "files/grüße.txt": b"umlaut",
    "files/100%25.txt": b"percent",
    "files/plus+.txt": b"plus",
    "data.json": DATA,
    "data.json.gz": DATA_GZ,
    "data.json.br": b"not really Brotli",
    "data.json.zst": b"hardly Zstandard",
    "stale.txt": b"the news",
    "stale.txt.gz": gzip.compress(b"yesterday's news", mtime=0),
    "archive.tar.gz": DATA_GZ,
    "about.html": b"<title>About</title>",
    "sub/404.html": b"<title>Lost in sub</title>",
    "app.5f3c9a1b.js": b"export {};\n",
    "sw.js": b"self.onfetch = null;\n",
    "_redirects": b"/old /about.html\n/news/:year/* /archive.tar.gz?of=:year 302\n/ruled.txt /taken.txt\n",
    "_headers": b"/ruled.txt\n  X-Rule: one\n  Cache-Control: max-age=60\n/sub/*\n  X-Rule: two\n",
    "ruled.txt": b"ruled",
    ".env": SECRET,
    ".git/config": SECRET,
    ".well-known/security.txt": b"Contact: mailto:a@example.test\n",
}


def make_site(folder: Path) -> Path:
    """The site that the rows are about, below a folder; beside it lies what nobody may have."""
    site = folder / "site"
    for name, content in FILES.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
    os.utime(site / "stale.txt.gz", (MODIFIED - DAY, MODIFIED - DAY))
    (folder / "secret.txt").write_bytes(SECRET)
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.txt").write_bytes(SECRET)
    (site / "inside").symlink_to("note.txt")
    (site / "out.txt").symlink_to("../secret.txt")
    (site / "outside").symlink_to("../outside")
    return site


# ---- a row


@dataclass(frozen=True, eq=False)
class Row:
    """One request and what is right.

    `fields` may name the target's validators: `{etag}`, `{weak}` (its weak form), `{modified}`, and those of another
    state: `{earlier}`, `{later}`.  `statuses` are the right ones, ours first.  `has` are fields and the pattern that
    the whole of each one's value matches, `lacks` those that may not be there.  A 200 is `content`; a 206 is the
    `parts` of it, or `unmerged`, if that is right as well.  Any answer contains `words`, and has `most` bytes at most.
    """

    group: str
    name: str
    target: str = "/film.bin"
    fields: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    method: str = "GET"
    has: tuple[tuple[str, str], ...] = ()
    lacks: tuple[str, ...] = ()
    content: bytes | None = None
    parts: tuple[slice, ...] = ()
    unmerged: tuple[slice, ...] = ()
    words: tuple[bytes, ...] = ()
    most: int | None = None

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"

    def without_range(self, method: str) -> Row:
        """The same request for the whole: HEAD knows no Range (RFC 9110 §14.2)."""
        fields = tuple(line for line in self.fields if not line.startswith(("Range", "If-Range")))
        return replace(self, fields=fields, method=method)


def _range(name: str, value: str, *parts: slice) -> Row:
    return Row("range", name, fields=(f"Range: {value}",), statuses=(206,), parts=parts, content=FILM)


def _merged(name: str, value: str, *parts: slice) -> Row:
    """Parts that make one together, which a server may give as one (RFC 9110 §15.3.7.2)."""
    return replace(_range(name, value, slice(parts[0].start, parts[-1].stop)), unmerged=parts)


def _ignored(name: str, value: str, *others: int) -> Row:
    row = Row("range", name, fields=(f"Range: {value}",), statuses=(200, *others), content=FILM)
    return replace(row, lacks=("Content-Range",), most=SIZE) if not others else replace(row, most=2 * SIZE)


def _unsatisfiable(name: str, value: str, *others: int) -> Row:
    has = (("Content-Range", rf"bytes \*/{SIZE}"),) if not others else ()
    return Row("range", name, fields=(f"Range: {value}",), statuses=(416, *others), has=has)


def _if_range(name: str, value: str, *, holds: bool) -> Row:
    row = Row("If-Range", name, fields=("Range: bytes=-5", f"If-Range: {value}"), content=FILM)
    return replace(row, statuses=(206,), parts=(slice(-5, None),)) if holds else replace(row, lacks=("Content-Range",))


def _condition(name: str, line: str, status: int) -> Row:
    return Row("condition", name, "/note.txt", (line,), (status,), content=NOTE)


def _secret(name: str, target: str, status: int = 404) -> Row:
    """Nobody gets it; whether 404, 403 or 400 says so is a matter of taste."""
    return Row("secret", name, target, statuses=(status, 404, 403, 400))


def _encoded(name: str, value: str, coding: str, content: bytes | None = None) -> Row:
    """A form that was chosen says by what; to have no other than the file itself is no fault in most rows."""
    has = (("Content-Encoding", coding), ("Vary", VARY)) if coding else ()
    lacks = () if coding else ("Content-Encoding",)
    return Row("encoding", name, "/data.json", (f"Accept-Encoding: {value}",), has=has, lacks=lacks, content=content)


def _file(name: str, target: str, content: bytes, kind: str = "", fields: tuple[str, ...] = ()) -> Row:
    return Row("file", name, target, fields, content=content, has=(("Content-Type", kind),) if kind else ())


JSON = ("Content-Type", "application/json.*")
# RFC 9457 §3.
PROBLEM = ("Content-Type", r"application/(problem\+)?json.*")
MOVED = (308, 301, 302, 307)
# The beginning of a Location that leads to the same host.
HERE = r"(http://(a|127\.0\.0\.1)(:\d+)?)?"
VARY = "(?i:(.*, *)?accept-encoding(,.*)?)"
UTF8 = "(?i:; ?charset=utf-8)?"

ROWS: list[Row] = [
    # ---- a file
    _file("text, with its type", "/note.txt", NOTE, f"text/plain{UTF8}"),
    _file("a style", "/style.css", FILES["style.css"], f"text/css{UTF8}"),
    _file("a script", "/script.mjs", FILES["script.mjs"], f"text/javascript{UTF8}|application/javascript{UTF8}"),
    _file("nothing in it", "/empty.txt", b""),
    _file("a folder's own page", "/docs/", FILES["docs/index.html"], f"text/html{UTF8}"),
    _file("a query is no part of its name", "/note.txt?v=2", NOTE),
    _file("blanks and more in its name", "/files/a%20b%20%26%20c.txt", b"odd"),
    _file("letters beyond ASCII", "/files/gr%C3%BC%C3%9Fe.txt", b"umlaut"),
    _file("escapes are undone once", "/files/100%2525.txt", b"percent"),
    _file("a plus is a plus", "/files/plus+.txt", b"plus"),
    _file("what need not be escaped may be", "/%6E%6f%74%65.txt", NOTE),
    _file(".well-known is no secret", "/.well-known/security.txt", FILES[".well-known/security.txt"]),
    Row("file", "validators", has=(("ETag", r'(W/)?"[^"]+"'), ("Last-Modified", re.escape(http_date(MODIFIED))))),
    Row("file", "that parts can be had is said", has=(("Accept-Ranges", "bytes"),)),
    Row("file", "no guessing at its type", has=(("X-Content-Type-Options", "nosniff"),)),
    Row("file", "its length is said", "/film.bin", has=(("Content-Length", str(SIZE)),)),
    # ---- one part of it, and several
    _range("from one byte to another", "bytes=0-4", slice(0, 5)),
    _range("a byte", "bytes=7-7", slice(7, 8)),
    _range("open: from a byte to the end", "bytes=500-", slice(500, None)),
    _range("suffix: the last bytes", "bytes=-300", slice(-300, None)),
    _range("a suffix longer than the file", "bytes=-99999999", slice(0, None)),
    _range("an end beyond the file", "bytes=500-99999999", slice(500, None)),
    _range("a number of many digits", "bytes=500-99999999999999999999999", slice(500, None)),
    _range("another spelling of the unit", "BYTES=0-4", slice(0, 5)),
    _range("several", "bytes=0-4,100-149", slice(0, 5), slice(100, 150)),
    _range("several, with blanks", "bytes=0-4 , 100-149", slice(0, 5), slice(100, 150)),
    _range("several in another order", "bytes=900-949,0-4", slice(900, 950), slice(0, 5)),
    _range("one that is there beside one that is not", f"bytes=0-4,{SIZE}-", slice(0, 5)),
    _merged("overlapping ones are one", "bytes=0-99,50-149", slice(0, 100), slice(50, 150)),
    _merged("touching ones are one", "bytes=0-99,100-149", slice(0, 100), slice(100, 150)),
    _unsatisfiable("nothing of it is there", f"bytes={SIZE}-"),
    _unsatisfiable("the last none", "bytes=-0"),
    _unsatisfiable("bytes=5-2", "bytes=5-2", 200),
    _ignored("another unit", "lines=0-4"),
    _ignored("no range at all", "bytes=x", 416),
    _ignored("no equals sign", "bytes", 416),
    _ignored("a sign before a number", "bytes=+0-4", 416),
    _ignored("more than 16", "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 40, 2)), 206, 416),
    _ignored("a hundred times the whole", "bytes=" + ",".join(["0-"] * 100), 206, 416),
    _ignored("many in no order", "bytes=" + ",".join(f"{at}-{at}" for at in range(90, 0, -10)), 206, 416),
    # ---- a part only if the rest is still the same
    _if_range("the entity-tag", "{etag}", holds=True),
    _if_range("the date", "{modified}", holds=True),
    _if_range("a weak tag never holds", "{weak}", holds=False),
    _if_range("another tag", '"another"', holds=False),
    _if_range("an earlier date", "{earlier}", holds=False),
    _if_range("a later date", "{later}", holds=False),
    # ---- only if it changed
    _condition("If-None-Match", "If-None-Match: {etag}", 304),
    _condition("If-None-Match, a list", 'If-None-Match: "a", {etag}, W/"b"', 304),
    _condition("If-None-Match, weakly", "If-None-Match: {weak}", 304),
    _condition("If-None-Match: *", "If-None-Match: *", 304),
    _condition("If-None-Match, another", 'If-None-Match: "a", "b"', 200),
    _condition("If-Modified-Since", "If-Modified-Since: {modified}", 304),
    _condition("If-Modified-Since, a later date", "If-Modified-Since: {later}", 304),
    _condition("If-Modified-Since, an earlier date", "If-Modified-Since: {earlier}", 200),
    _condition("If-Modified-Since, no date", "If-Modified-Since: yesterday", 200),
    _condition("If-Match", "If-Match: {etag}", 200),
    _condition("If-Match, another", 'If-Match: "a"', 412),
    _condition("If-Match: *", "If-Match: *", 200),
    _condition("If-Unmodified-Since", "If-Unmodified-Since: {modified}", 200),
    _condition("If-Unmodified-Since, an earlier date", "If-Unmodified-Since: {earlier}", 412),
    Row(
        "condition", "If-None-Match counts before If-Modified-Since", "/note.txt",
        ('If-None-Match: "a"', "If-Modified-Since: {modified}"), (200,), content=NOTE,
    ),
    Row("condition", "a condition before a range", "/film.bin", ("If-None-Match: {etag}", "Range: bytes=0-4"), (304,)),
    Row("condition", "a 304 has the tag", "/note.txt", ("If-None-Match: {etag}",), (304,), has=(("ETag", ".+"),)),
    # ---- encodings
    _encoded("gzip, from beside the file", "gzip", "gzip", DATA_GZ),
    _encoded("Brotli", "br", "br", FILES["data.json.br"]),
    _encoded("Zstandard", "zstd", "zstd", FILES["data.json.zst"]),
    _encoded("in capitals, with blanks", "GZIP ; q=0.5", "gzip", DATA_GZ),
    _encoded("any", "*", "br|zstd|gzip"),
    _encoded("none that is not asked for", "", "", DATA),
    _encoded("gzip;q=0 is none", "gzip;q=0", "", DATA),
    _encoded("gzip;q=0, *;q=0", "gzip;q=0, *;q=0", "", DATA),
    _encoded("identity alone", "identity", "", DATA),
    _encoded("identity preferred", "identity, gzip;q=0.1", "", DATA),
    _encoded("another one is none", "compress, x-other", "", DATA),
    Row("encoding", "a cache is told that there are others", "/data.json", has=(("Vary", VARY),), content=DATA),
    Row(
        "encoding", "the tag of one form is none of another's", "/data.json",
        ("Accept-Encoding: gzip", "If-None-Match: {etag}"), has=(("Content-Encoding", "gzip"),), content=DATA_GZ,
    ),
    Row(
        "encoding", "parts of the encoded form", "/data.json",
        ("Accept-Encoding: gzip", "Range: bytes=0-9"), (206, 200),
        has=(("Content-Encoding", "gzip"),), content=DATA_GZ, parts=(slice(0, 10),),
    ),
    Row(
        "encoding", "an old form of a new file is not sent", "/stale.txt", ("Accept-Encoding: gzip",),
        content=FILES["stale.txt"], lacks=("Content-Encoding",),
    ),
    Row(
        "encoding", "an archive is an archive", "/archive.tar.gz", ("Accept-Encoding: gzip",),
        content=DATA_GZ, lacks=("Content-Encoding",),
    ),
    # ---- addresses
    Row("address", "about.html for /about", "/about", content=FILES["about.html"]),
    Row("address", "a page for what is missing", "/sub/none", statuses=(404,), words=(b"Lost in sub",)),
    Row("address", "the nearest such page", "/sub/deeper/none", statuses=(404,), words=(b"Lost in sub",)),
    Row("address", "JSON for who wants that", "/none", ("Accept: application/json",), (404,), has=(PROBLEM,)),
    # ---- what the owner has written into _redirects and _headers
    Row("rules", "moved for good", "/old", statuses=(301,), has=(("Location", f"{HERE}/about.html"),)),
    Row(
        "rules", "moved, with a part of the path", "/news/2024/x",
        statuses=(302,), has=(("Location", rf"{HERE}/archive\.tar\.gz\?of=2024"),),
    ),
    Row("rules", "what is there comes first", "/ruled.txt", content=b"ruled"),
    Row("rules", "a field of one file", "/ruled.txt", has=(("X-Rule", "one"), ("Cache-Control", "max-age=60"))),
    Row("rules", "of an error, too", "/sub/none", statuses=(404,), has=(("X-Rule", "two"),)),
    Row("rules", "the redirects are not served", "/_redirects", statuses=(404, 403)),
    Row("rules", "the fields are not served", "/_headers", statuses=(404, 403)),
    # ---- how long it may be kept
    Row("caching", "a page is asked about", "/", has=(("Cache-Control", "no-cache"),)),
    Row("caching", "a service worker, too", "/sw.js", has=(("Cache-Control", "no-cache"),)),
    Row("caching", "named after its content: for ever", "/app.5f3c9a1b.js", has=(("Cache-Control", ".*immutable.*"),)),
    Row("caching", "the rest for a while", has=(("Cache-Control", r"(public, )?max-age=\d+"),)),
    Row(
        "caching", "a 304 says it again", "/note.txt", ("If-None-Match: {etag}",), (304,),
        has=(("Cache-Control", r"(public, )?max-age=\d+"),),
    ),
    # ---- folders
    Row("folder", "to its slash", "/docs", statuses=MOVED, has=(("Location", f"{HERE}/docs/"),)),
    Row(
        "folder", "to its slash, with the query", "/docs?a=b%2F",
        statuses=MOVED, has=(("Location", rf"{HERE}/docs/\?a=b%2F"),),
    ),
    Row(
        "folder", "two slashes lead to no other host", "//docs",
        statuses=(*MOVED, 404, 400), has=(("Location", f"(?!//)({HERE}/.*)?"),),
    ),
    Row("folder", "a listing", "/files/", words=(b"a b & c.txt", "grüße.txt".encode(), b"plus+.txt")),
    Row("folder", "a listing that has not changed", "/files/", ("If-None-Match: {etag}",), statuses=(304,)),
    Row(
        "folder", "a listing as JSON", "/files/", ("Accept: application/json",),
        has=(JSON,), words=("grüße.txt".encode(), b"plus+.txt"),
    ),
    # ---- what is not to be had
    _secret("a link out of the folder", "/out.txt"),
    _secret("through a linked folder", "/outside/secret.txt"),
    _secret("a linked folder's listing", "/outside/"),
    _secret("a dot-file", "/.env"),
    _secret("a dot-folder", "/.git/config"),
    _secret("up", "/../secret.txt"),
    _secret("up, escaped", "/%2e%2e/secret.txt"),
    _secret("up, a slash escaped", "/..%2fsecret.txt"),
    _secret("up, escaped twice", "/%252e%252e/secret.txt"),
    _secret("up, with a backslash", "/..%5csecret.txt"),
    _secret("an absolute path", "//etc/passwd"),
    _secret("%00", "/note.txt%00", 400),
    _secret("%00 and another ending", "/.env%00.txt", 400),
    Row("secret", "a link that stays inside is followed", "/inside", content=NOTE),
    # ---- what is not there, and what is not done
    Row("refusal", "nothing there", "/nothing", statuses=(404,)),
    Row("refusal", "a file is no folder", "/note.txt/", statuses=(404,)),
    Row("refusal", "nothing below a file", "/note.txt/x", statuses=(404,)),
    Row("refusal", "a % that escapes nothing", "/note%zz.txt", statuses=(400, 404)),
    Row("refusal", "a long name", "/" + "a" * 1000, statuses=(404, 400, 414)),
    Row("refusal", "POST to a file", "/note.txt", method="POST", statuses=(405,), has=(("Allow", ".*GET.*"),)),
    Row("refusal", "DELETE of a file", "/note.txt", method="DELETE", statuses=(405,), has=(("Allow", ".*GET.*"),)),
    Row("refusal", "a method that nobody knows", "/note.txt", method="BREW", statuses=(501, 405, 400)),
    Row("refusal", "OPTIONS tells", "/note.txt", method="OPTIONS", statuses=(204, 200), has=(("Allow", ".*GET.*"),)),
    Row("refusal", "TRACE is not echoed", "/note.txt", method="TRACE", statuses=(405, 501, 400)),
    # ---- the request-target
    Row("target", "absolute-form", "http://a/note.txt", content=NOTE),
    Row("target", "absolute-form, folder", "http://a/docs", statuses=MOVED),
    Row("target", "absolute-form, without a path", "http://a", statuses=(200, *MOVED), words=(b"home",)),
    Row("target", "a dot counts for nothing", "/./note.txt", content=NOTE),
    Row("target", "a slash too many", "//note.txt", statuses=(200, 301, 308, 404)),
]  # fmt: skip


# ---- to ask


@dataclass(frozen=True)
class Known:
    """The validators of a target's present state; "" where the server gives none."""

    etag: str = ""
    modified: str = ""

    def fill(self, line: str) -> str:
        """A field line with the validators in it."""
        names = {"etag": self.etag, "weak": "W/" + self.etag.removeprefix("W/"), "modified": self.modified}
        dates = {"earlier": http_date(MODIFIED - DAY), "later": http_date(MODIFIED + DAY)}
        return line.format(**names, **dates) if "{" in line else line


# A port of the loopback address, or whatever else opens a connection to the server.
Way = int | Callable[[], socket.socket]


def ask(way: Way, row: Row, known: Known, version: str = "1.1") -> Answer:
    """A row's request, over a connection of its own, and the answer as h11 reads it.

    Raises h11.RemoteProtocolError where it is none, OSError where nothing comes.
    """
    [answer] = read_answers(fetch(way, written(row, known, "Connection: close", version=version)), [row.method])
    return answer


def written(row: Row, known: Known, *more: str, version: str = "1.1") -> bytes:
    """A row's request as it goes over the wire, with `more` field lines."""
    lines = [known.fill(line) for line in row.fields]
    length = ["Content-Length: 0"] if row.method == "POST" else []
    return get(row.target, *lines, *length, *more, version=version, method=row.method)


def fetch(way: Way, data: bytes, timeout: float = 10) -> bytes:
    """All that comes for these bytes until the server closes."""
    pieces = []
    with way() if callable(way) else socket.create_connection(("127.0.0.1", way), timeout) as sock:
        sock.sendall(data)
        while piece := sock.recv(1 << 18):
            pieces.append(piece)
    return b"".join(pieces)


def known(way: Way, target: str) -> Known:
    """The validators that a plain GET of a target tells."""
    answer = ask(way, Row("", "", target), Known())
    return Known(answer["ETag"], answer["Last-Modified"])


# ---- to judge


def check(row: Row, answer: Answer) -> list[str]:
    """What is wrong with the answer to a row, in words; nothing where it is right."""
    return list(_faults(row, answer))


def _faults(row: Row, answer: Answer) -> Iterator[str]:
    if answer.status not in row.statuses:
        yield f"{answer.status}, not {' or '.join(map(str, dict.fromkeys(row.statuses)))}"
    for name, pattern in row.has:
        if not re.fullmatch(pattern, answer[name]):
            yield f"{name}: {answer[name] or '(none)'}"
    yield from (f"{name}: {answer[name]}" for name in row.lacks if answer[name])
    if SECRET in answer.body:
        yield "it gives the secret away"
    if row.most is not None and len(answer.body) > row.most:
        yield f"{len(answer.body)} bytes"
    if answer.status in (204, 304) and answer.body:
        yield "content where there is none"
    if answer.status in row.statuses and row.method == "GET":
        yield from _wrong_content(row, answer)


def _wrong_content(row: Row, answer: Answer) -> Iterator[str]:
    if answer.status == 206 and row.content is not None and row.parts:
        found = read_parts(answer)
        right = [row.parts, row.unmerged] if row.unmerged else [row.parts]
        if found not in [[_part(row.content, part) for part in parts] for parts in right]:
            yield "other parts"
    elif answer.status == 200 and row.content is not None and answer.body != row.content:
        yield "other content"
    if not row.words:
        return
    told = answer.body + unquote_to_bytes(html.unescape(answer.body.decode("utf-8", "replace")))
    yield from (f"no {words.decode()}" for words in row.words if words not in told)


def _part(content: bytes, part: slice) -> tuple[str, bytes]:
    start, stop, _ = part.indices(len(content))
    return f"bytes {start}-{stop - 1}/{len(content)}", content[part]


def read_parts(answer: Answer) -> list[tuple[str, bytes]]:
    """(Content-Range, bytes) of each part of a 206; empty where it is framed wrong (RFC 9110 §14.6)."""
    kind, _, boundary = answer["Content-Type"].partition("boundary=")
    if not kind.startswith("multipart/byteranges"):
        return [(answer["Content-Range"], answer.body)]
    frame = b"\r\n--" + boundary.strip('"').encode()
    first, *pieces, end = (b"\r\n" + answer.body.removeprefix(b"\r\n")).split(frame)
    if first or end not in (b"--", b"--\r\n"):
        return []
    return [_read_part(piece) for piece in pieces]


def _read_part(piece: bytes) -> tuple[str, bytes]:
    head, _, data = piece.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-range:[ \t]*(.+)", head)
    return found[1].strip().decode() if found else "", data
