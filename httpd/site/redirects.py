"""`_redirects`: where paths have moved to, or which file answers for them.

    # from        [name=value …]  to                           [status][!]
    /old.html                     /new.html
    /blog/:year/*                 /posts/:year/:splat          302
    /store        id=:id          /products/:id
    /legacy/*                     https://legacy.example/:splat
    /app/*                        /app/index.html              200
    /shop/*                       /closed                      404!

The first rule that fits counts.  A file of that path goes before it, unless the rule has the "!".  The status is 301
where none is named; 200 and 404 send the file that the target names, under the address that was asked for.  The query
goes along, without what the rule has matched of it, unless the target has one of its own.

A target is the owner's word, and may be any site.  What a request puts into it is not: that is always percent-encoded,
never stands in a host, and cannot make a path begin with "//".
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..protocol.grammar import ABSOLUTE_FORM, late
from .root import quoted, quoted_path
from .rules import MAX_PATTERNS, PLACEHOLDER, Asked, Pattern, Problem, decoded, literal, rule_lines

__all__ = ["MAX_EXACT", "Destination", "Redirects", "parse_redirects"]

# Rules for one path each are found in a dict, so it is only memory that bounds them.  Cloudflare takes 2,000.
MAX_EXACT = 10_000

_MOVED = frozenset({301, 302, 303, 307, 308})
_STATUSES = _MOVED | {200, 404}
_DEFAULT = 301

_STATUS = late(r"([0-9]{3})(!?)")
_CONDITION = late(r"[^=/]+=.+")
# unreserved / gen-delims / sub-delims / "%"                                               (RFC 3986 §2.1 to §2.3)
_NOT_IN_URI = late(r"[^!#$%&'(-;=?@A-Z\[\]_a-z~]")


class Destination(NamedTuple):
    """What a rule says of a path: the status and the target, a URI reference; `forced` is its "!"."""

    status: int
    location: str
    forced: bool

    @property
    def moves(self) -> bool:
        """Whether the client is sent to the target; else the target is sent to the client."""
        return self.status in _MOVED

    @property
    def path(self) -> str:
        """The target's path, decoded."""
        return decoded(self.location.partition("#")[0].partition("?")[0])

    def leads_to(self, path: str, query: str) -> bool:
        """Whether a client that is sent there would ask for this decoded path, and query, of this site again."""
        before = self.location.partition("#")[0]
        return before.startswith("/") and before.partition("?")[2] == query and self.path == path


class _Condition(NamedTuple):
    """A parameter that the query must have, with this value; or with any, which a placeholder then stands for."""

    name: str
    is_name: bool
    text: str


class _Rule(NamedTuple):
    """A line.  The target is in pieces, (whether it is a name, text), the text ready for a URI.  Rules sort by line."""

    line: int
    pattern: Pattern
    conditions: tuple[_Condition, ...]
    target: tuple[tuple[bool, str], ...]
    status: int
    forced: bool

    @property
    def depends_on_query(self) -> bool:
        """Whether it may fit one query and not another: by a condition, or as it leads to where the other one is."""
        return bool(self.conditions) or any("?" in text for is_name, text in self.target if not is_name)

    def destination(self, values: Mapping[str, str], query: str) -> Destination:
        location = "".join([_encoded(text, values[text]) if is_name else text for is_name, text in self.target])
        if location.startswith("/"):
            # A star that stands for nothing may leave two slashes, and what follows these is a host.
            location = "/" + location.lstrip("/")
        return Destination(self.status, _with_query(location, query), self.forced)


class Redirects:
    """The rules, in their order."""

    def __init__(self, rules: Sequence[_Rule] = ()) -> None:
        self._exact: dict[str, list[_Rule]] = {}
        self._patterns = [rule for rule in rules if rule.pattern.key is None]
        for rule in rules:
            if rule.pattern.key is not None:
                self._exact.setdefault(rule.pattern.key, []).append(rule)

    def find(self, path: str, query: str = "") -> Destination | None:
        """What the first rule that fits says of a decoded path and the query; None where none does.

        A rule that leads to the very path that was asked for fits nothing.
        """
        asked = Asked.of(path)
        given: dict[str, str] | None = None
        for rule in self._near(asked):
            values = rule.pattern.match(asked)
            if values is None:
                continue
            rest = query
            if rule.conditions:
                given = _parameters(query) if given is None else given
                if not _hold(rule.conditions, given, values):
                    continue
                rest = _without({condition.name for condition in rule.conditions}, query)
            found = rule.destination(values, rest)
            if not found.moves or not found.leads_to(path, query):
                return found
        return None

    def depends_on_query(self, path: str) -> bool:
        """Whether it is for the query to say if a file of this path is to be had."""
        asked = Asked.of(path)
        risky = (rule.pattern for rule in self._near(asked) if rule.forced and rule.depends_on_query)
        return any(pattern.match(asked) is not None for pattern in risky)

    def _near(self, asked: Asked) -> Iterator[_Rule]:
        """All rules that may fit a path, and some more, in their order."""
        return heapq.merge(self._exact.get(asked.key, ()), self._patterns)


# ---- matching


def _hold(conditions: Sequence[_Condition], given: Mapping[str, str], values: dict[str, str]) -> bool:
    """Whether the query has what is asked for; what the placeholders stand for is added."""
    for name, is_name, text in conditions:
        value = given.get(name, "")
        if not value or (not is_name and value != text):
            return False
        if is_name:
            values[text] = value
    return True


def _parameters(query: str) -> dict[str, str]:
    """The first value of each parameter."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(_decoded_parameter(name), _decoded_parameter(value))
    return found


def _without(names: set[str], query: str) -> str:
    pairs = query.split("&")
    return "&".join([pair for pair in pairs if _decoded_parameter(pair.partition("=")[0]) not in names])


def _decoded_parameter(text: str) -> str:
    return decoded(text.replace("+", " "))


def _encoded(name: str, value: str) -> str:
    """A value for a URI: nothing in it means anything, but the slashes between what the star stands for."""
    return quoted_path(value) if name == "splat" else quoted(value.encode("utf-8", "surrogateescape"))


def _with_query(location: str, query: str) -> str:
    before, mark, fragment = location.partition("#")
    return location if not query or "?" in before else f"{before}?{query}{mark}{fragment}"


# ---- reading


def parse_redirects(text: str) -> tuple[Redirects, list[Problem]]:
    """The rules in a file's text, and what is wrong with the other lines."""
    problems: list[Problem] = []
    rules: list[_Rule] = []
    room = {True: MAX_EXACT, False: MAX_PATTERNS}
    for number, line in rule_lines(text, problems):
        try:
            rule = _rule(number, line)
            exact = rule.pattern.key is not None
            if not room[exact]:
                raise ValueError("too many rules of one path each" if exact else "too many rules with * or :name")
        except ValueError as why:
            problems.append(Problem(number, str(why)))
        else:
            room[exact] -= 1
            rules.append(rule)
    return Redirects(rules), problems


def _rule(number: int, line: str) -> _Rule:
    """The rule in a line.  Raises ValueError, the text of which says why there is none."""
    words = _words(line)
    pattern = _pattern(words.pop(0))
    conditions = []
    while words and _CONDITION.fullmatch(words[0]):
        conditions.append(_condition(words.pop(0)))
    if not words:
        raise ValueError("there is no target")
    names = pattern.names + [condition.text for condition in conditions if condition.is_name]
    if len({*names}) < len(names):
        raise ValueError("a placeholder is there twice")
    location = _location(words.pop(0))
    status, forced = _status(words)
    if status not in _MOVED and not location.startswith("/"):
        raise ValueError(f"with status {status} the target is a path of this site")
    return _Rule(number, pattern, tuple(conditions), tuple(_pieces(location, names)), status, forced)


def _words(line: str) -> list[str]:
    """The words of a line up to its comment."""
    words = [word for word in line.replace("\t", " ").split(" ") if word]
    comment = next((place for place, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _pattern(path: str) -> Pattern:
    if "://" in path:
        raise ValueError("the rule is for a whole URL; only paths of this site can be redirected")
    if "?" in path or "#" in path:
        raise ValueError("a path has no ? and no #; what the query must have is written behind it, as name=value")
    return Pattern(path)


def _condition(word: str) -> _Condition:
    name, _, value = word.partition("=")
    placeholder = PLACEHOLDER.fullmatch(value)
    if placeholder is not None:
        return _Condition(literal(name), True, placeholder[1])
    return _Condition(literal(name), False, literal(value))


def _location(target: str) -> str:
    """A target as a URI reference: of this site a path, of another an http or https URL."""
    location = "".join([letter if letter.isascii() else quoted_path(letter) for letter in target])
    if _NOT_IN_URI.search(location):
        raise ValueError("the target has a character that no URL has")
    literal(location)
    if location.startswith("//"):
        raise ValueError("a target that begins with // is another site's: write its whole URL")
    if not location.startswith("/") and not ABSOLUTE_FORM.fullmatch(location.partition("#")[0]):
        raise ValueError("the target is neither a path nor an http or https URL")
    return location


def _status(words: Sequence[str]) -> tuple[int, bool]:
    """What the words behind the target say: the status, and whether there is a "!"."""
    status, forced = _DEFAULT, False
    if words and (found := _STATUS.fullmatch(words[0])):
        status, forced, words = int(found[1]), bool(found[2]), words[1:]
    if words and "=" in words[0]:
        raise ValueError(f"{words[0].partition('=')[0]}=… is a condition that is not known here")
    if words:
        raise ValueError("behind the target stands nothing but a status, with a ! or without")
    if status not in _STATUSES:
        raise ValueError(f"status {status} is none of {', '.join(map(str, sorted(_STATUSES)))}")
    return status, forced


def _pieces(location: str, names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """The target in pieces.  A colon within a segment may be just that; a segment of an unknown name is a mistake."""
    at = 0
    for found in PLACEHOLDER.finditer(location):
        if found[1] in names:
            yield False, location[at : found.start()]
            yield True, found[1]
            at = found.end()
        elif location[found.start() - 1] in "/=":
            raise ValueError(f"the target has {found[0]}, the path has not")
    yield False, location[at:]
