"""What the two files of rules, `_redirects` and `_headers`, have in common: lines, their problems, and paths to match.

The grammar is what Netlify and Cloudflare Pages share.  A line that breaks it is a Problem with its number, and the
other lines stand.  A path is matched segment by segment: `:name` is one whole segment, and there is one `*` at most,
so nothing is ever tried a second time, and the cost is that of looking at the path once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..protocol.grammar import BAD_ESCAPE, late, percent_decode

__all__ = [
    "MAX_LINE", "MAX_PATTERNS", "MAX_TEXT", "PLACEHOLDER", "Asked", "Pattern", "Problem", "decoded", "literal",
    "rule_lines",
]  # fmt: skip

# Twice what Cloudflare takes of a redirect, and as much as it takes of a field line.
MAX_LINE = 2_000
# The longest text, in characters; each line of it costs something to read.
MAX_TEXT = (1 << 20) - 1
# Patterns are tried one after the other, for every path that is not remembered.  Cloudflare takes a hundred.
MAX_PATTERNS = 500

PLACEHOLDER = late(r":([A-Za-z][A-Za-z0-9_]*)")
# Any but the tab, which is a blank.
_CONTROL = late(r"[\x00-\x08\x0a-\x1f\x7f]")


class Problem(NamedTuple):
    """What is wrong with a line, counted from 1."""

    line: int
    what: str


def rule_lines(text: str, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """(number, line without the blanks around it) of all but comments and empty lines; adds those that are no lines."""
    for number, line in enumerate(text[:MAX_TEXT].removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        if len(line) > MAX_LINE:
            problems.append(Problem(number, f"the line is longer than {MAX_LINE} characters"))
        elif _CONTROL.search(line):
            problems.append(Problem(number, "a control character"))
        elif (line := line.strip(" \t")) and not line.startswith("#"):
            yield number, line
    if len(text) > MAX_TEXT:
        problems.append(
            Problem(number, f"the file is longer than {MAX_TEXT} characters; what follows counts for nothing")
        )


def decoded(text: str) -> str:
    """Percent-decoded text, as a request's path is.  Raises ValueError for a bad escape."""
    return percent_decode(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def literal(text: str) -> str:
    """A rule's own text, decoded.  Raises ValueError for a bad escape, and for that of NUL."""
    if BAD_ESCAPE.search(text):
        raise ValueError("a % without two hexadecimal digits after it, or the escape of NUL")
    return decoded(text)


class Asked(NamedTuple):
    """A decoded path as patterns look at it: its segments, and whether it ends in "/"."""

    segments: list[str]
    closed: bool

    @classmethod
    def of(cls, path: str) -> Asked:
        return cls([segment for segment in path.split("/") if segment], path.endswith("/"))

    @property
    def key(self) -> str:
        """What paths that differ in empty segments and the closing "/" alone have in common."""
        return "/".join(self.segments)


class _Segment(NamedTuple):
    """A segment of a pattern: a placeholder's name, or literal text, decoded."""

    is_name: bool
    text: str


class Pattern:
    """The path of a rule: `:name` stands for one segment, `*` for any text, with "/" in it or empty.

    A closing "/" counts for nothing, and `/a/*` fits `/a` too.  `names` are what `match` gives, the star's being
    "splat".  Raises ValueError, the text of which says why.
    """

    __slots__ = ("_after", "_before", "_star", "names")

    def __init__(self, path: str) -> None:
        if not path.startswith("/"):
            raise ValueError("a path begins with /")
        if path.count("*") > 1:
            raise ValueError("a path has one * at most")
        segments = [segment for segment in path.split("/") if segment]
        at = next((place for place, segment in enumerate(segments) if "*" in segment), len(segments))
        self._before = [_segment(segment) for segment in segments[:at]]
        self._after = [_segment(segment) for segment in segments[at + 1 :]]
        self._star = tuple(map(literal, segments[at].split("*"))) if "*" in path else None
        self.names = [segment.text for segment in self._before + self._after if segment.is_name]
        self.names += ["splat"] * path.count("*")
        if len({*self.names}) < len(self.names):
            raise ValueError("a placeholder is there twice")

    @property
    def key(self) -> str | None:
        """The key of the only path that fits, None where there are several."""
        return None if self.names else "/".join(segment.text for segment in self._before)

    def match(self, asked: Asked) -> dict[str, str] | None:
        """What the names stand for in a path that fits; None for another."""
        segments, first, last = asked.segments, len(self._before), len(asked.segments) - len(self._after)
        if last < first or (self._star is None and last > first):
            return None
        found: dict[str, str] = {}
        if not (_fits(self._before, segments, found) and _fits(self._after, segments[last:], found)):
            return None
        if self._star is not None:
            before, after = self._star
            rest = "/".join(segments[first:last])
            if len(rest) < len(before) + len(after) or not (rest.startswith(before) and rest.endswith(after)):
                return None
            slash = "/" if asked.closed and rest and not after and not self._after else ""
            found["splat"] = rest[len(before) : len(rest) - len(after)] + slash
        return found


def _segment(text: str) -> _Segment:
    name = PLACEHOLDER.match(text)
    if name is None:
        return _Segment(False, literal(text))
    if name[0] != text:
        raise ValueError(f"{name[0]} is not a whole segment")
    return _Segment(True, name[1])


def _fits(pattern: Sequence[_Segment], segments: Sequence[str], found: dict[str, str]) -> bool:
    """Whether the segments begin as the pattern does; what its names stand for is added."""
    for (is_name, text), segment in zip(pattern, segments, strict=False):
        if is_name:
            found[text] = segment
        elif text != segment:
            return False
    return True
