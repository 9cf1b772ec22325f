"""Parts of a representation: Range, If-Range and multipart/byteranges (RFC 9110 §14).

A *part* is (start, length), in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from .grammar import OWS, late, token
from .validators import parse_http_date

__all__ = ["MAX_RANGES", "byteranges", "content_range", "if_range", "parse_range", "unsatisfied_range"]

# The most ranges that are served; browsers and download managers ask for one or a few, an attack for hundreds (§17.15).
MAX_RANGES = 16
# How often a range may lie before the one asked for before it; players of video jump about a little.
MAX_STEPS_BACK = 4

Part = tuple[int, int]

# ranges-specifier = range-unit "=" range-set ; range-set = 1#range-spec                      (RFC 9110 §14.1.1)
_SPECIFIER = late(f"({token})=(.*)")
# range-spec = int-range / suffix-range ; int-range = first-pos "-" [ last-pos ] ; suffix-range = "-" suffix-length
_RANGE = late(f"{OWS}(?:([0-9]++)-([0-9]*+)|-([0-9]++)){OWS}")


def parse_range(value: str, size: int) -> list[Part] | None:
    """The parts that a Range field asks for, of a representation of `size` bytes (RFC 9110 §14.2).

    None: the field is to be ignored, for another unit, a value that is no range, or too many or too disorderly ranges.
    An empty list: nothing of what was asked for is there, which is answered with 416.  Parts that overlap or touch are
    one, in the place of the first of them.
    """
    specifier = _SPECIFIER.fullmatch(value)
    if not specifier or specifier[1].lower() != "bytes":
        return None
    members = [member for member in specifier[2].split(",") if member.strip(" \t")]
    if not 0 < len(members) <= MAX_RANGES:
        return None
    specs = [_RANGE.fullmatch(member) for member in members]
    if None in specs:
        return None
    parts = [_part(spec, size) for spec in specs if spec]
    if None in parts:
        return []
    present = [part for part in parts if part and part[1] > 0]
    if sum(later < earlier for earlier, later in pairwise(present)) > MAX_STEPS_BACK:
        return None
    # An empty representation has a last part, however long, but no way to say where it is (§14.4).
    if not size and any(spec and spec[3] and spec[3].strip("0") for spec in specs):
        return None
    return _merged(present)


def _part(spec: re.Match[str], size: int) -> Part | None:
    """The part that a range names, of length 0 if there is nothing of it; None for one that ends before it begins."""
    first, last, suffix = spec.groups()
    if suffix is not None:
        length = min(_number(suffix), size)
        return size - length, length
    start = _number(first)
    end = _number(last) if last else start + size
    if end < start:
        return None
    return start, max(0, min(end + 1, size) - start)


def _number(digits: str) -> int:
    """A position.  One of too many digits is cut, still beyond any file: int() is slow for those."""
    return int(digits.lstrip("0")[:20] or "0")


def _merged(parts: Sequence[Part]) -> list[Part]:
    """The parts, those that overlap or touch made one in the place of the first (RFC 9110 §15.3.7.2)."""
    merged: list[Part] = []
    for part in parts:
        group = [part, *(other for other in merged if _touch(part, other))]
        begin = min(start for start, _ in group)
        end = max(start + length for start, length in group)
        place = merged.index(group[1]) if len(group) > 1 else len(merged)
        rest = [other for other in merged[place:] if other not in group]
        merged = [*merged[:place], (begin, end - begin), *rest]
    return merged


def _touch(one: Part, other: Part) -> bool:
    return other[0] <= one[0] + one[1] and one[0] <= other[0] + other[1]


def if_range(value: str, etag: str, mtime: float | None) -> bool:
    """Whether a Range may be served, by If-Range: the representation must be the very one that the client has parts of.

    `value` is the field's, `etag` and `mtime` are the present representation's (RFC 9110 §13.1.5).  A weak tag never
    holds, a date only if it is exactly the one that was sent.
    """
    if value.startswith('"'):
        return value == etag
    date = parse_http_date(value)
    return date is not None and mtime is not None and date == int(mtime)


def content_range(part: Part, size: int) -> str:
    """The Content-Range of a 206 (RFC 9110 §14.4)."""
    start, length = part
    return f"bytes {start}-{start + length - 1}/{size}"


def unsatisfied_range(size: int) -> str:
    """The Content-Range of a 416 (RFC 9110 §15.5.17)."""
    return f"bytes */{size}"


def byteranges(
    parts: Sequence[Part], size: int, fields: Sequence[tuple[str, str]], boundary: str
) -> tuple[list[bytes], int]:
    """What frames several parts as multipart/byteranges (RFC 9110 §14.6), and the length of the whole content in bytes.

    The pieces stand before the first part, between the parts, and after the last: one more than there are parts.
    `fields` are the field lines of every part, its Content-Type above all.  `boundary` must not occur in the content.
    """
    own = [f"{name}: {value}" for name, value in fields]
    frames: list[str] = []
    for part in parts:
        lines = [f"--{boundary}", *own, f"Content-Range: {content_range(part, size)}", "", ""]
        frames.append(("\r\n" if frames else "") + "\r\n".join(lines))
    frames.append(f"\r\n--{boundary}--\r\n")
    pieces = [frame.encode("latin-1") for frame in frames]
    return pieces, sum(map(len, pieces)) + sum(length for _, length in parts)
