"""The field section of a head: bytes → what they say together, or a Refusal.

What is told here does not depend on the method and the target: to whom the request is addressed (Host), how its content
is framed (Content-Length, Transfer-Encoding), what it expects, and whether the connection goes on.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .diagnosis import HeadLimits
from .errors import Refusal
from .grammar import CONTENT_LENGTH, FIELD_LINE, PADDED_FIELD_LINE, is_host
from .message import Headers

__all__ = ["FieldSection", "read_field_section"]

# Where the field lines begin in a section, which begins with the minor version.
_FIRST_LINE = len("1\r\n")

# Looked up here, the method is not bound anew for every head.
_findall = FIELD_LINE.findall

# What the field lines of a head say: everything that does not depend on the method and the target.  They are, as in
# Head: headers, host, content_length, expects_continue, persistent.
FieldSection = tuple[Headers, str, int, bool, bool | None]


def read_field_section(text: str, limits: HeadLimits) -> FieldSection | Refusal | None:
    """What the field lines say; the text is that from the request-line's last character, the minor version, to a CRLF.

    None where a line breaks the grammar or there are too many; a Refusal where the lines are good, but not together.
    """
    lines = _findall(text, _FIRST_LINE)
    if lines and not lines[-1][0]:
        lines = PADDED_FIELD_LINE.findall(text, _FIRST_LINE)
        if not lines[-1][0]:
            return None
    if len(lines) > limits.fields:
        return None
    headers = Headers(lines)
    combined = headers.combined
    old = text[0] == "0"
    host = combined.get("host", "")
    if not is_host(host) or (not host and not old):
        fault = _faulty_host(text)
        if fault:
            return fault
    persistent = _persistent(combined.get("connection", ""))
    if persistent is None and not old:
        persistent = True
    if not ("content-length" in combined or "transfer-encoding" in combined or "expect" in combined):
        return headers, host, 0, False, persistent
    fault = _faulty_framing(text, headers, old, limits) or _unmet_expectation(text, headers)
    if fault:
        return fault
    length = _number(headers.get("content-length", "0"))
    # RFC 9110 §10.1.1: nothing to wait for where there is no content, and HTTP/1.0 cannot be told to go on.
    expects = bool(length and not old and _members(headers.get("expect")))
    return headers, host, length, expects, persistent


def _faulty_host(text: str) -> Refusal | None:
    """RFC 9112 §3.2: one Host, well-formed, or empty.  Not asked where HTTP/1.0 does without."""
    hosts = _lines_named("host", text)
    if not hosts:
        return Refusal(400, "An HTTP/1.1 request without Host.", "RFC 9112 §3.2", len(text) - 2, 0)
    if len(hosts) > 1:
        return _refuse(400, "More than one Host.", "RFC 9112 §3.2", hosts[1], 0)
    if not hosts[0][2]:
        return None
    return _refuse(400, "The Host is not a host with an optional port.", "RFC 9112 §3.2", hosts[0], 2)


def _faulty_framing(text: str, headers: Headers, old: bool, limits: HeadLimits) -> Refusal | None:
    """RFC 9112 §6: what could make two readers see two different ends of the request."""
    if "transfer-encoding" in headers:
        return _faulty_coding(text, headers, old)
    if "content-length" not in headers:
        return None
    value = headers.get("content-length")
    lines = _lines_named("content-length", text)
    if not CONTENT_LENGTH.fullmatch(value):
        wrong = next(line for line in lines if not CONTENT_LENGTH.fullmatch(line[2]))
        return _refuse(400, "The Content-Length is not a number.", "RFC 9112 §6.3", wrong, 2)
    if len(_numbers(value)) > 1:
        return _refuse(400, "Several Content-Lengths that differ.", "RFC 9112 §6.3", lines[-1], 2)
    if _number(value) > limits.body:
        return _refuse(413, f"More than {limits.body} bytes of content.", "RFC 9110 §15.5.14", lines[0], 2)
    return None


def _faulty_coding(text: str, headers: Headers, old: bool) -> Refusal:
    """RFC 9112 §6.1: a transfer coding is always refused; the question is with which status."""
    line = _lines_named("transfer-encoding", text)[0]
    if old:
        return _refuse(400, "A Transfer-Encoding in an HTTP/1.0 request.", "RFC 9112 §6.1", line, 0)
    if "content-length" in headers:
        return _refuse(400, "A Transfer-Encoding beside a Content-Length.", "RFC 9112 §6.3", line, 0)
    if headers.get("transfer-encoding").lower() == "chunked":
        return _refuse(411, "Chunked content: its length must be sent before it.", "RFC 9112 §6.3", line, 2)
    return _refuse(501, "A transfer coding that is not known here.", "RFC 9112 §6.1", line, 2)


def _unmet_expectation(text: str, headers: Headers) -> Refusal | None:
    """RFC 9110 §10.1.1: the one expectation there is."""
    if all(member == "100-continue" for member in _members(headers.get("expect"))):
        return None
    wrong = _lines_named("expect", text)[0]
    return _refuse(417, "An expectation other than 100-continue.", "RFC 9110 §10.1.1", wrong, 2)


# As is_host: few are sent, and what is kept is bounded.
@lru_cache(64)
def _persistent(connection: str) -> bool | None:
    """RFC 9112 §9.3: close wins; HTTP/1.1 goes on by default, which None leaves open, HTTP/1.0 when it says so."""
    options = _members(connection)
    if "close" in options:
        return False
    return True if "keep-alive" in options else None


def _members(value: str) -> list[str]:
    """The members of a list of tokens, in lower case (RFC 9110 §5.6.1)."""
    if "," not in value:
        return [value.lower()] if value else []
    return [member for part in value.lower().split(",") if (member := part.strip(" \t"))]


def _numbers(value: str) -> set[str]:
    return {part.strip(" \t") for part in value.split(",")}


def _number(value: str) -> int:
    """A Content-Length found good.  One of too many digits is cut, still over any limit: int() is slow for those."""
    return int(value.partition(",")[0].strip(" \t").lstrip("0")[:20] or "0")


def _lines_named(name: str, text: str) -> list[re.Match[str]]:
    return [line for line in PADDED_FIELD_LINE.finditer(text, _FIRST_LINE) if line[1].lower() == name]


def _refuse(status: int, reason: str, rule: str, line: re.Match[str], group: int) -> Refusal:
    """Refuse for a field line: its value (group 2), or all of it (0), which has the CRLF after it in the match."""
    start, end = line.span(group)
    end -= 2 * (group == 0)
    return Refusal(status, reason, rule, start, end - start)
