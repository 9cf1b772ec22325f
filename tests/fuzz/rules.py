"""The owner's rules: any text is read, any path is matched, and whatever a request says stays on the site."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from httpd import Response
from httpd.site.answers import plain_path
from httpd.site.header_rules import parse_headers
from httpd.site.redirects import Redirects, parse_redirects
from httpd.site.root import quoted_path
from httpd.site.rules import Asked, Pattern, Problem

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"\0", b"\n", b"\n/", b" /", b"/*", b"/:a", b"/:splat", b":splat", b"/:a/*", b"*", b"a=:a", b" 200", b" 404!",
    b" 301", b" 302!", b"//", b"https://b.example/", b"https://b.example:80/:splat?:a", b"#", b"?", b"&", b"%2f",
    b"%2e%2e", b"%zz", b"\\", b"/../", b"/.", b"/evil.example", b"@", b"\xc3\xa9", b"\xff", b"\r", b"  X: y",
    b"\n! X", b"\n X-Y: a, b", b"\nContent-Length: 1", b"\nSet-Cookie: a", b"Language=de",
]  # fmt: skip

OWN = (("Content-Type", "text/html"), ("Vary", "Accept"), ("X", "own"))


def one_input(data: bytes) -> None:
    """NUL divides `_redirects`, `_headers`, a path and a query."""
    text, fields, path, query = [
        part.decode("utf-8", "surrogateescape") for part in [*data.split(b"\0"), b"", b"", b""][:4]
    ]
    path = plain_path("/" + path)
    redirects, problems = parse_redirects(text)
    are_of_lines(problems, text)
    # The parser refuses a target with anything else.
    stays(redirects, text, path, "".join(letter for letter in query if "!" <= letter <= "~" and letter not in "#%"))
    headers, problems = parse_headers(fields)
    are_of_lines(problems, fields)
    assert Response(headers=headers.apply(path, OWN)).fields
    for line in text.split("\n"):
        matches_as_a_regular_expression_does(line.partition(" ")[0], path)


def are_of_lines(problems: list[Problem], text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 and what for line, what in problems)
    assert [line for line, _ in problems] == sorted(line for line, _ in problems)


def stays(redirects: Redirects, text: str, path: str, query: str) -> None:
    """A redirect leads to this site, or to one that stands in the text."""
    found = redirects.find(path, query)
    if found is None:
        return
    location = found.location
    assert re.fullmatch("[!-~]+", location)
    assert "\\" not in location.partition("?")[0]
    assert found.path.startswith("/") or not location.startswith("/")
    host = urlsplit(urljoin("http://this.example/", location)).netloc
    assert (host == "this.example") == location.startswith("/")
    written = "".join(letter if letter.isascii() else quoted_path(letter) for letter in text)
    assert location.startswith("/") or host in written
    assert not (found.moves and found.leads_to(path, query))


def matches_as_a_regular_expression_does(pattern: str, path: str) -> None:
    """Bounded: an expression may take long, and this is the reason for not having one."""
    asked = Asked.of(path)
    try:
        wanted = Pattern(pattern)
    except ValueError:
        return
    if len(path) > 50 or "%" in pattern:
        return
    found = re.fullmatch(expression(pattern), "".join("/" + segment for segment in asked.segments), re.DOTALL)
    matched = wanted.match(asked)
    assert (found is None) == (matched is None)
    if found is not None and matched is not None:
        if asked.closed and pattern.rstrip("/").endswith("*"):
            # The slash that ends the path is the star's.
            matched["splat"] = matched["splat"].removesuffix("/")
        assert matched == {name: value or "" for name, value in found.groupdict().items()}


def expression(pattern: str) -> str:
    parts = []
    for segment in filter(None, pattern.split("/")):
        if segment == "*":
            parts.append("(?:/(?P<splat>.*))?")
        elif re.fullmatch(r":[A-Za-z]\w*", segment, re.ASCII):
            parts.append(f"/(?P<{segment[1:]}>[^/]+)")
        else:
            parts.append("/" + "(?P<splat>.*)".join(map(re.escape, segment.split("*"))))
    return "".join(parts)
