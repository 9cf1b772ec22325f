"""The head of a request: bytes → Head, or a Refusal.

One pattern takes the request-line and one `findall` all the field lines; a good head costs no more.  What does not
match is walked by `diagnosis`, which finds the first fault.  The rules about fields are in `fields`, those about the
request-target here.

Clients repeat themselves, so a `HeadParser` remembers what it has parsed: whole heads, and field sections, which stay
the same while the request-line changes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .diagnosis import HeadLimits, evidence_of, faulty_target, first_fault
from .errors import Refusal
from .fields import FieldSection, read_field_section
from .grammar import ABSOLUTE_FORM, BAD_ESCAPE, REQUEST_LINE, TOKEN, late, percent_decode
from .memory import Memory
from .message import Head

__all__ = ["HeadLimits", "HeadParser", "RefusingParser", "Salvage", "parse_head", "salvage"]

# How many empty lines before a request-line are skipped (RFC 9112 §2.2 asks for at least one).
EMPTY_LINES = 2

# Methods whose requests have content, so that its length must be known (RFC 9112 §6.3).
WITH_CONTENT = frozenset({"PATCH", "POST", "PUT"})

# More than there can be.
_ANY_LENGTH = 1 << 62

# What a finished head gets whose fault the diagnosis does not find.  There is none; a test says so.
UNEXPLAINED = Refusal(400, "The head does not follow the grammar.", "RFC 9112 §2.1", 0, 0)


# A target's path, decoded; its query; its authority, or None where it has none.
Place = tuple[str, str, str | None]


class HeadMemory:
    """What was parsed: whole heads by their bytes, and what field sections say by their text.

    A section is remembered when it comes a second time, the head it comes with too; another head of a section that is
    known, when that head comes a second time.
    """

    __slots__ = ("heads", "sections")

    def __init__(self, count: int, size: int) -> None:
        self.heads: Memory[Head] = Memory(count, size)
        self.sections: Memory[FieldSection] = Memory(count, size)


class HeadParser:
    """Parses heads under given limits, and remembers what it parsed.

    `max_request_line`, `max_head` and `max_body` are in bytes, `max_fields` in lines; `memory_count` and `memory_bytes`
    bound each of the two memories, the bytes being those of the heads (what is made of them takes some times more).
    """

    __slots__ = ("_memory", "limits")

    def __init__(
        self,
        *,
        max_request_line: int,
        max_head: int,
        max_fields: int,
        max_body: int,
        memory_count: int = 1024,
        memory_bytes: int = 1 << 20,
    ) -> None:
        self.limits = HeadLimits(request_line=max_request_line, head=max_head, fields=max_fields, body=max_body)
        self._memory = HeadMemory(memory_count, memory_bytes)

    def known(self, head: bytes) -> Head | None:
        """What a head says that is remembered, given without its final CRLF CRLF: one that was found good."""
        heads = self._memory.heads
        return heads.young.get(head) or heads.get(head)

    def parse(self, head: bytes, empty_lines: int = 0) -> Head | Refusal:
        """What a head says that is not known; `empty_lines` were skipped before it.

        A Refusal's span counts from the first byte of `head`.
        """
        return parse_head(head, self.limits, empty_lines, self._memory)

    def parse_longer(self, head: bytes) -> Head | None:
        """What a head says whose one fault is that it announces more content than is usual; None if it has others."""
        result = parse_head(head, self.limits.with_body(_ANY_LENGTH))
        return result if isinstance(result, Head) else None

    def judge_early(self, prefix: bytes, empty_lines: int = 0) -> Refusal | None:
        """The fault that an unfinished head shows already, or None; never another one than `parse` will find.

        The cost grows with the prefix, so it is best asked when a line has ended or a limit may be passed.
        """
        start = _skip_empty_lines(prefix, empty_lines)
        if isinstance(start, Refusal):
            return start
        fault = first_fault(prefix[start:].decode("latin-1"), self.limits, finished=False)
        return fault and fault.moved(start)

    def evidence(self, head: bytes, refusal: Refusal) -> bytes:
        """The beginning of a refused head that shows why: the same bytes wherever the network cut what came."""
        start = 0
        while head.startswith(b"\r\n", start):
            start += 2
        if refusal.start < start:
            return head[: refusal.start + refusal.length]
        text = head[start:].decode("latin-1")
        return head[: start + evidence_of(refusal.moved(-start), text, self.limits)]


class RefusingParser(HeadParser):
    """Parses heads where nothing is to be asked: a good one is refused, too, with this reason and rule."""

    __slots__ = ("_reason", "_rule")

    def __init__(self, limits: HeadLimits, reason: str, rule: str) -> None:
        super().__init__(
            max_request_line=limits.request_line, max_head=limits.head, max_fields=limits.fields, max_body=limits.body
        )
        self._reason = reason
        self._rule = rule

    def known(self, head: bytes) -> None:
        """None is: each is to be refused."""

    def parse(self, head: bytes, empty_lines: int = 0) -> Refusal:
        """The fault of the head, or that of asking here at all: then its span is the request-line."""
        result = super().parse(head, empty_lines)
        if isinstance(result, Refusal):
            return result
        start = len(head) - len(head.lstrip(b"\r\n"))
        return Refusal(400, self._reason, self._rule, start, len(result.request_line))

    def parse_longer(self, head: bytes) -> None:
        """However much content is announced, it is not taken."""


# ---- a whole head


# Looked up here, the method is not bound anew for every head.
_match = REQUEST_LINE.match


def parse_head(
    head: bytes, limits: HeadLimits, empty_lines: int = 0, memory: HeadMemory | None = None
) -> Head | Refusal:
    """What a head says (RFC 9112 §3, §5, §6), given without its final CRLF CRLF; `empty_lines` were skipped before it.

    `memory` may know its field section, and is given what is worth to be remembered.
    """
    text = head.decode("latin-1") + "\r\n"
    matched = _match(text)
    if matched is None:
        return _after_empty_lines(head, limits, empty_lines, memory)
    line = matched.groups()
    request_line, method, target, _ = line
    place = _place(method, target)
    if place is None or len(request_line) > limits.request_line or len(head) > limits.head:
        return _refused(head, limits)
    # The section begins with the minor version, so that two versions never share what is remembered.
    lines = text[len(request_line) - 1 :]
    known = memory and memory.sections.get(lines)
    section = known or read_field_section(lines, limits)
    if section is None:
        return _refused(head, limits)
    if isinstance(section, Refusal):
        return section.moved(len(request_line) - 1)
    made = _head(line, place, section)
    if method in WITH_CONTENT and "content-length" not in made.headers:
        return Refusal(411, f"A {method} request without Content-Length.", "RFC 9112 §6.3", len(head), 0)
    if memory:
        if known:
            memory.heads.offer(head, made)
        elif memory.sections.offer(lines, section):
            memory.heads.put(head, made)
    return made


def _head(line: tuple[str, ...], place: Place, section: FieldSection) -> Head:
    head = Head()
    head.request_line, head.method, head.target, minor = line
    head.path, head.query, authority = place
    head.version = "1.0" if minor == "0" else "1.1"
    head.headers, host, head.content_length, head.expects_continue, head.persistent = section
    head.host = host if authority is None else authority
    head.user = ""
    head.logged = None
    return head


def _after_empty_lines(head: bytes, limits: HeadLimits, empty_lines: int, memory: HeadMemory | None) -> Head | Refusal:
    # A head of nothing was ended by empty lines.
    start = _skip_empty_lines(head or b"\r\n\r\n", empty_lines)
    if isinstance(start, Refusal):
        return start
    if not start:
        return _refused(head, limits)
    result = parse_head(head[start:], limits, EMPTY_LINES, memory)
    return result.moved(start) if isinstance(result, Refusal) else result


def _refused(head: bytes, limits: HeadLimits) -> Refusal:
    return first_fault(head.decode("latin-1"), limits, finished=True) or UNEXPLAINED


def _skip_empty_lines(head: bytes, already: int) -> int | Refusal:
    """Where the request-line begins (RFC 9112 §2.2)."""
    start = 0
    while head.startswith(b"\r\n", start):
        already += 1
        if already > EMPTY_LINES:
            reason = f"More than {EMPTY_LINES} empty lines before the request-line."
            return Refusal(400, reason, "RFC 9112 §2.2", start, 2)
        start += 2
    return start


def _place(method: str, target: str) -> Place | None:
    """Where a target points (RFC 9112 §3.2), or None where it is refused."""
    if method == "CONNECT":
        return None
    if target[0] == "/":
        path, _, query = target.partition("?")
        if "%" not in target:
            return path, query, None
        return None if BAD_ESCAPE.search(target) else (_decoded(path), query, None)
    if faulty_target(method, target):
        return None
    absolute = ABSOLUTE_FORM.fullmatch(target)
    if absolute:
        # RFC 9112 §3.2.4: OPTIONS of a URI without path is OPTIONS of the server
        nothing = "*" if method == "OPTIONS" and absolute[3] is None else "/"
        return _decoded(absolute[2] or nothing), absolute[3] or "", absolute[1]
    return target, "", None


def _decoded(path: str) -> str:
    return percent_decode(path.encode()).decode("utf-8", "surrogateescape") if "%" in path else path


# ---- what is left of a refused head


class Salvage(NamedTuple):
    """What can be told of a head that was refused, for the log line and the error page.

    `request_line` is the first line as it was sent, latin-1, cut after 1,000 characters; it may hold anything but LF,
    so who shows it escapes it.  `method` and `accept` are "" where the head has none that is well-formed.
    """

    request_line: str
    method: str
    accept: str


_ACCEPT = late(r"\naccept:([\t -~]*)", re.IGNORECASE)


def salvage(head: bytes) -> Salvage:
    """Save what can be read of a head, refused or cut short."""
    text = head.decode("latin-1").lstrip("\r\n")
    line = text.partition("\n")[0].rstrip("\r")
    method = TOKEN.match(line)
    accept = _ACCEPT.search(text)
    return Salvage(
        request_line=line[:1000],
        method=method[0] if method and line.startswith(" ", method.end()) else "",
        accept=accept[1].strip(" \t") if accept else "",
    )
