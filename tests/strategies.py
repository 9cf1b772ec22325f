"""Requests, as hypothesis makes them: what clients send, and what is almost that.

The heads are built from a few words that matter to a parser rather than from any bytes: random bytes hardly ever get
past the request-line.  What they are drawn from is made here once: to make a strategy anew for each draw costs
more than the draw.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["examples", "heads", "mutated", "pieces", "requests"]


def examples(number: int) -> int:
    """How many to make where the usual hundred are not right: fewer where all tests make fewer, as with --quick."""
    return max(1, number * min(settings.default.max_examples, 100) // 100)


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "M-SEARCH"])
VERSIONS = st.sampled_from(
    ["HTTP/1.1"] * 6 + ["HTTP/1.0"] * 4 + ["HTTP/1.9", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1"]
)
HOSTS = st.sampled_from(["a", "example.org", "example.org:8080", "127.0.0.1", "[::1]:80", "", "a b", "a/b", "[::1"])

_segment = st.text("abc.-_~!$&'()*+,;=:@%20%2F%00é\"<>|", max_size=6)
_printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8)

# What the framing and routing of a request hang on, with values good and bad.
_TELLING = {
    "Host": HOSTS,
    "Connection": st.sampled_from(["close", "keep-alive", "Keep-Alive, close", "x", ""]),
    "Content-Length": st.sampled_from(["0", "5", "5, 5", "5, 6", "05", "-1", "+1", "1e3", "", "5 5", "9" * 30]),
    "Transfer-Encoding": st.sampled_from(["chunked", "Chunked", "gzip, chunked", "identity", ""]),
    "Expect": st.sampled_from(["100-continue", "100-Continue", "x", ""]),
    "Accept": st.sampled_from(["*/*", "text/html;q=0.5, application/json", "a\tb"]),
    "Cookie": st.sampled_from(["a=b", "a=b; c=d"]),
}
_names = st.sampled_from(sorted(_TELLING)) | st.sampled_from(["X", "x-y", "A1"])
_spellings: SearchStrategy[Callable[[str], str]] = st.sampled_from([str, str.lower, str.upper])
_values = st.text(st.characters(max_codepoint=0xFF, exclude_categories=("Cc",)), max_size=9)
_before = st.sampled_from(["", " ", " ", " ", "\t "])
_after = st.sampled_from(["", "", "", " ", "\t"])

_empty_lines = st.sampled_from([""] * 8 + ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n"])
_minor_versions = st.sampled_from("01")
_paths = st.lists(st.text("abc123-_.", min_size=1, max_size=6), max_size=3).map("/".join)

_removals = st.sampled_from([0, 0, 1, 2])
_trips = st.sampled_from(
    [b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b",", b"\x7f", b"\xff", b"#", b"%", b"\r\n ", b"1"]
)


def _targets() -> SearchStrategy[str]:
    """Request-targets in all four forms, and some in none."""
    path = st.lists(_segment, max_size=4).map(lambda parts: "/" + "/".join(parts))
    query = st.one_of(st.just(""), _segment.map(lambda text: "?" + text))
    origin = st.tuples(path, query).map("".join)
    absolute = st.tuples(st.sampled_from(["http://", "HTTPS://", "ftp://"]), HOSTS, origin).map("".join)
    return st.one_of(origin, origin, origin, absolute, HOSTS, st.just("*"), _printable)


TARGETS = _targets()


@st.composite
def _field_lines(draw: DrawFn) -> str:
    """One field line without its end."""
    name = draw(_names)
    value = draw(_TELLING.get(name, _values))
    return f"{draw(_spellings)(name)}:{draw(_before)}{value}{draw(_after)}"


_sections = st.lists(_field_lines(), max_size=6)


@st.composite
def heads(draw: DrawFn) -> bytes:
    """A head with the empty line that ends it.  Most are good."""
    line = f"{draw(METHODS)} {draw(TARGETS)} {draw(VERSIONS)}"
    lines = draw(_sections)
    if draw(st.integers(0, 9)):
        lines = [one for one in lines if not one.lower().startswith("host:")]
        lines.insert(draw(st.integers(0, len(lines))), f"Host: {draw(HOSTS)}")
    return (draw(_empty_lines) + "\r\n".join([line, *lines]) + "\r\n\r\n").encode("latin-1", "replace")


@st.composite
def mutated(draw: DrawFn, data: SearchStrategy[bytes]) -> bytes:
    """The same with a few bytes put in, taken out or changed: those that parsers trip over."""
    changed = bytearray(draw(data))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed)))
        removed = draw(_removals)
        changed[at : at + removed] = draw(_trips)
    return bytes(changed)


@st.composite
def requests(draw: DrawFn) -> tuple[bytes, bytes]:
    """A good request, whole: (bytes on the wire, its content)."""
    content = draw(st.binary(max_size=60))
    lines = [f"POST /{draw(_paths)} HTTP/1.{draw(_minor_versions)}", "Host: example.org"]
    lines += [f"X-{number}: {draw(_printable)}" for number in range(draw(st.integers(0, 4)))]
    lines.insert(draw(st.integers(1, len(lines))), f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content, content


@st.composite
def pieces(draw: DrawFn, data: bytes) -> list[bytes]:
    """The data, cut somewhere; no piece is empty."""
    cuts = draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=8))
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]
