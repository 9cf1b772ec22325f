"""`_headers`: field lines for the answers of a site, by the path that is asked for.

    /assets/*
      Cache-Control: public, max-age=31536000, immutable
    /*
      X-Frame-Options: DENY
      ! X-Content-Type-Options

All rules that fit count, in their order.  A field that they set takes the place of the server's own (Vary, Link and
Set-Cookie are added to it); set several times it is a list, joined with ", ".  A "!" takes a field away, the server's
own or that of a rule above.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from ..protocol.grammar import NOT_IN_VALUE, TOKEN
from ..protocol.message import SERVERS_OWN, replaced
from .rules import MAX_PATTERNS, Asked, Pattern, Problem, rule_lines

__all__ = ["HeaderRules", "parse_headers"]

# What is not the owner's to say: how a message is framed, and what the server reads off the file.
_NOT_HIS = SERVERS_OWN | {
    "accept-ranges", "content-encoding", "content-range", "etag", "last-modified", "trailer", "upgrade",
}  # fmt: skip


class _Rule(NamedTuple):
    """A path and what stands below it: (name, value), or (name, None) to take it away."""

    line: int
    pattern: Pattern
    changes: list[tuple[str, str | None]]


class HeaderRules:
    """The rules, in their order."""

    def __init__(self, rules: Sequence[_Rule] = ()) -> None:
        self._rules = rules

    def apply(
        self, path: str, lines: Iterable[tuple[str, str]], without: Container[str] = ()
    ) -> tuple[tuple[str, str], ...]:
        """The field lines for a decoded path, given those that the server has for it.

        What the rules say of the names in `without`, which are in lower case, does not count.
        """
        if not self._rules:
            return tuple(lines)
        asked = Asked.of(path)
        away: set[str] = set()
        given: dict[str, list[tuple[str, str]]] = {}
        for rule in self._rules:
            if rule.pattern.match(asked) is None:
                continue
            for name, value in rule.changes:
                if name.lower() in without:
                    continue
                if value is None:
                    given.pop(name.lower(), None)
                    away.add(name.lower())
                else:
                    given.setdefault(name.lower(), []).append((name, value))
        kept = [line for line in lines if line[0].lower() not in away]
        return tuple(replaced(kept, [line for name, values in given.items() for line in _joined(name, values)]))


def _joined(name: str, lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Several values as a list, which all fields are that come several times, but for Set-Cookie (RFC 9110 §5.3)."""
    return lines if name == "set-cookie" else [(lines[0][0], ", ".join(value for _, value in lines))]


def parse_headers(text: str) -> tuple[HeaderRules, list[Problem]]:
    """The rules in a file's text, and what is wrong with the other lines."""
    problems: list[Problem] = []
    rules: list[_Rule] = []
    changes: list[tuple[str, str | None]] | None = None
    for number, line in rule_lines(text, problems):
        try:
            if line.startswith(("/", "http://", "https://")):
                changes = []
                rules.append(_Rule(number, _pattern(line, len(rules)), changes))
            elif changes is None:
                raise ValueError("a field stands below a path")
            else:
                changes.append(_change(line))
        except ValueError as why:
            problems.append(Problem(number, str(why)))
    problems += [Problem(rule.line, "no field stands below the path") for rule in rules if not rule.changes]
    return HeaderRules([rule for rule in rules if rule.changes]), sorted(problems)


def _pattern(path: str, many: int) -> Pattern:
    if not path.startswith("/"):
        raise ValueError(
            "the rule is for a whole URL; only paths of this site have rules, and the lines below count for nothing"
        )
    if many >= MAX_PATTERNS:
        raise ValueError(f"more than {MAX_PATTERNS} rules")
    return Pattern(path)


def _change(line: str) -> tuple[str, str | None]:
    """What a line below a path says.  Raises ValueError where it cannot be sent, or is not the owner's to say."""
    away = line.startswith("!")
    name, _, value = (line[1:], "", "") if away else line.partition(":")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not TOKEN.fullmatch(name):
        raise ValueError("a field is written Name: value, and one to take away ! Name")
    if name.lower() in _NOT_HIS:
        raise ValueError(f"{name} is the server's to say")
    if away and name.lower() == "vary":
        raise ValueError("Vary can be added to, not taken away: what it names was looked at")
    if away:
        return name, None
    if not value:
        raise ValueError(f"{name} has no value")
    if NOT_IN_VALUE.search(value):
        raise ValueError(f"a character beyond latin-1 in the value of {name}")
    return name, value
