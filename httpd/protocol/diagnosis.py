"""What is wrong with a head: the first fault, with its rule and the very bytes.

A good head is taken at one go elsewhere.  Only one that is not good, or not whole yet, comes here and is walked line by
line.  The verdict must not depend on where the network cut the bytes, so one rule orders the faults: *the first is the
one that the shortest prefix shows*.  The lines are judged in their order; of each line the limits first, which can be
passed before its end is there, its content once it has ended.

Positions count characters of the text, which is the head decoded as latin-1: one character is one byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .errors import Refusal
from .grammar import (
    ABSOLUTE_FORM,
    AUTHORITY_FORM,
    BAD_ESCAPE,
    NOT_IN_VALUE,
    REQUEST_TARGET,
    TOKEN,
    VERSION,
)

__all__ = [
    "HeadLimits",
    "Line",
    "evidence_of",
    "faulty_field_line",
    "faulty_request_line",
    "faulty_target",
    "first_fault",
]


class HeadLimits:
    """What a head may measure: bytes of its request-line and in all, field lines; bytes of content it may announce."""

    __slots__ = ("body", "fields", "head", "request_line")

    def __init__(self, request_line: int, head: int, fields: int, body: int) -> None:
        self.request_line = request_line
        self.head = head
        self.fields = fields
        self.body = body

    def with_body(self, body: int) -> HeadLimits:
        """These, but for so many bytes of content."""
        return HeadLimits(self.request_line, self.head, self.fields, body)


class Line(NamedTuple):
    """One line of a head: it begins at `start`, its line end at `stop`.

    `end` is that line end: CRLF, or LF alone, or "" where the text stops; `whole` says whether the line is all there.
    """

    number: int
    start: int
    stop: int
    end: str
    whole: bool


def first_fault(text: str, limits: HeadLimits, *, finished: bool) -> Refusal | None:
    """The first fault of a head, or of its first part if it is not finished; None if none is to be seen.

    `text` begins with the request-line; a finished one has lost its final CRLF CRLF.
    """
    return _first(text, limits, finished)[0]


def evidence_of(fault: Refusal, text: str, limits: HeadLimits) -> int:
    """How much of a refused head it takes to show its fault, the line end that lets it be judged apart.

    All of it where the fault is none of a single line.
    """
    first, shown = _first(text, limits, True)
    return shown if first == fault else len(text)


def _first(text: str, limits: HeadLimits, finished: bool) -> tuple[Refusal | None, int]:
    beginning = _faulty_beginning(text)
    if beginning:
        return beginning, beginning.length
    for line in _lines(text, finished):
        fault = _over_limit(line, limits)
        if fault:
            return fault, fault.start + fault.length
        if line.whole and (fault := _faulty_line(text, line)):
            return fault, max(line.stop, fault.start + fault.length)
    return None, 0


def _faulty_beginning(text: str) -> Refusal | None:
    """What the very first bytes show: another protocol, which may never send a line end."""
    if text.startswith("\x16\x03"):
        return Refusal(400, "This looks like TLS; the port speaks plain HTTP.", "RFC 9112 §3", 0, 2)
    # The first byte of a TLS hello may come alone; if nothing follows it, its line is judged as any other.
    if text[:1] in ("", "\r", "\n") or text == "\x16":
        return None
    return _no_method(text)


def _lines(text: str, finished: bool) -> Iterator[Line]:
    number = start = 0
    while (lf := text.find("\n", start)) >= 0:
        bare = lf == start or text[lf - 1] != "\r"
        yield Line(number, start, lf if bare else lf - 1, "\n" if bare else "\r\n", True)
        number, start = number + 1, lf + 1
    # The last byte may be half of a line end, as long as more can come.
    stop = len(text) - (not finished and text.endswith("\r"))
    yield Line(number, start, stop, "", finished)


def _over_limit(line: Line, limits: HeadLimits) -> Refusal | None:
    if line.start == line.stop:
        return None  # it may be the line that ends the head
    if line.number > limits.fields:
        return Refusal(431, f"More than {limits.fields} field lines.", "RFC 6585 §5", line.start, 1)
    if line.number == 0 and limits.request_line < line.stop and limits.request_line <= limits.head:
        reason = f"The request-line is longer than {limits.request_line} bytes."
        return Refusal(414, reason, "RFC 9112 §3", limits.request_line, 1)
    if line.stop > limits.head:
        return Refusal(431, f"The head is longer than {limits.head} bytes.", "RFC 6585 §5", limits.head, 1)
    return None


def _faulty_line(text: str, line: Line) -> Refusal | None:
    if line.end == "\n":
        return Refusal(400, "A line ends in LF without CR.", "RFC 9112 §2.2", line.stop, 1)
    content = text[line.start : line.stop]
    fault = faulty_field_line(content, first=line.number == 1) if line.number else faulty_request_line(content)
    return _moved(fault, line.start)


# ---- the request-line


def faulty_request_line(line: str) -> Refusal | None:
    """The first fault of a request-line (RFC 9112 §3), which has no line end any more."""
    method = TOKEN.match(line)
    if not method:
        return _no_method(line)
    after_method = method.end()
    fault = _not_one_space(line, after_method, "method")
    if fault:
        return fault
    target = REQUEST_TARGET.match(line, after_method + 1)
    if not target:
        missing = after_method + 1 == len(line)
        return _bad("The request-target does not begin.", "RFC 9112 §3.2", after_method + 1, 0 if missing else 1)
    if target.end() == len(line):
        return _bad("No HTTP version: HTTP/0.9 is not spoken here.", "RFC 9112 §C.1", len(line), 0)
    return (
        _not_one_space(line, target.end(), "request-target")
        or _faulty_version(line, target.end() + 1)
        or _moved(faulty_target(method[0], target[0]), target.start())
        or _tunnel(method[0])
    )


def _no_method(text: str) -> Refusal | None:
    if TOKEN.match(text):
        return None
    return _bad("The request-line does not begin with a method.", "RFC 9112 §3.1", 0, 1 if text else 0)


def _not_one_space(line: str, at: int, after: str) -> Refusal | None:
    """What stands after the method or the target must be one SP, and then something else."""
    if at == len(line):
        return _bad(f"Nothing follows the {after}.", "RFC 9112 §3", at, 0)
    if line[at] != " ":
        return _bad(f"A byte that is not allowed in the {after}.", "RFC 9112 §3", at, 1)
    if line[at + 1 : at + 2] in (" ", "\t"):
        return _bad(f"More than one space after the {after}.", "RFC 9112 §3", at + 1, 1)
    return None


def _faulty_version(line: str, at: int) -> Refusal | None:
    version = VERSION.match(line, at)
    if not version:
        return _bad("The request-line does not end in an HTTP version.", "RFC 9112 §2.3", at, len(line) - at)
    if version.end() < len(line):
        return _bad("Something follows the HTTP version.", "RFC 9112 §3", version.end(), len(line) - version.end())
    if version[1] != "1":
        return Refusal(505, f"{version[0]} is not spoken here.", "RFC 9110 §15.6.6", at, len(version[0]))
    return None


def faulty_target(method: str, target: str) -> Refusal | None:
    """The first fault of a request-target (RFC 9112 §3.2) whose characters are all allowed in one."""
    escape = BAD_ESCAPE.search(target)
    if escape:
        what = "An escaped NUL" if escape[0] == "%00" else "A % without two hexadecimal digits after it"
        at = escape.start()
        return _bad(f"{what} in the request-target.", "RFC 3986 §2.1", at, min(3, len(target) - at))
    if method == "CONNECT":
        port = AUTHORITY_FORM.fullmatch(target)
        if not port or not 0 < int(port[1]) < 65_536:
            return _bad("The target of CONNECT is not a host and a port.", "RFC 9112 §3.2.3", 0, len(target))
    elif target == "*":
        if method != "OPTIONS":
            return _bad("The target * is for OPTIONS alone.", "RFC 9112 §3.2.4", 0, 1)
    elif not target.startswith("/") and not ABSOLUTE_FORM.fullmatch(target):
        return _bad("The request-target is neither a path nor an http URI.", "RFC 9112 §3.2", 0, len(target))
    return None


def _tunnel(method: str) -> Refusal | None:
    """CONNECT ends its connection: what comes after it may be meant for the tunnel, and is no request of ours."""
    if method == "CONNECT":
        return Refusal(501, "CONNECT is for proxies, and this is none.", "RFC 9110 §9.3.6", 0, len(method))
    return None


# ---- the field lines


def faulty_field_line(line: str, *, first: bool) -> Refusal | None:
    """The first fault of a field line (RFC 9112 §5), which has no line end any more."""
    if line.startswith((" ", "\t")):
        blank = len(line) - len(line.lstrip(" \t"))
        if first:
            return _bad("Whitespace between the request-line and the first field.", "RFC 9112 §2.2", 0, blank)
        return _bad("A field value folded over two lines.", "RFC 9112 §5.2", 0, blank)
    name, colon, _ = line.partition(":")
    if not colon:
        return _bad("A field line without a colon.", "RFC 9112 §5", 0, len(line))
    return _faulty_name(name) or _faulty_value(line, len(name) + 1)


def _faulty_name(name: str) -> Refusal | None:
    if not name:
        return _bad("A field without a name.", "RFC 9112 §5", 0, 1)
    token = TOKEN.match(name)
    good = token.end() if token else 0
    if good == len(name):
        return None
    if not name[good:].strip(" \t"):
        return _bad("Whitespace between a field name and its colon.", "RFC 9112 §5.1", good, len(name) - good)
    return _bad("A byte that is not allowed in a field name.", "RFC 9110 §5.1", good, 1)


def _faulty_value(line: str, start: int) -> Refusal | None:
    bad = NOT_IN_VALUE.search(line, start)
    if not bad:
        return None
    if bad[0] == "\r":
        return _bad("A CR that no LF follows.", "RFC 9112 §2.2", bad.start(), 1)
    return _bad("A control character in a field value.", "RFC 9110 §5.5", bad.start(), 1)


def _bad(reason: str, rule: str, start: int, length: int) -> Refusal:
    return Refusal(400, reason, rule, start, length)


def _moved(fault: Refusal | None, offset: int) -> Refusal | None:
    return fault and fault.moved(offset)
