"""httpd.site.rules, redirects and header_rules: what the owner's lines mean, and which of them mean nothing."""

from __future__ import annotations

import time
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.site.header_rules import parse_headers
from httpd.site.redirects import MAX_EXACT, Destination, parse_redirects
from httpd.site.rules import MAX_LINE, MAX_PATTERNS, MAX_TEXT, Asked, Pattern, Problem

from .tools import TOP

# ---- paths


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/", "/", {}),
        ("/", "/a", None),
        ("/a/b", "/a/b", {}),
        ("/a/b", "/a/b/", {}),
        ("/a/b/", "/a/b", {}),
        ("/a/b", "/a", None),
        ("/a", "/a/b", None),
        ("/a", "/A", None),
        ("/caf%C3%A9", "/café", {}),
        ("/café", "/café", {}),
        ("/%61", "/a", {}),
        ("/a%20b", "/a b", {}),
        ("/caf%E9", "/caf\udce9", {}),
        ("/:year/:slug", "/2024/x", {"year": "2024", "slug": "x"}),
        ("/:year/:slug", "/2024", None),
        ("/:year/:slug", "/2024/x/y", None),
        ("/a/:b/c", "/a/x/c/", {"b": "x"}),
        ("/a/:b/c", "/a/x/d", None),
        ("/*", "/", {"splat": ""}),
        ("/*", "/a/b", {"splat": "a/b"}),
        ("/*", "/a/b/", {"splat": "a/b/"}),
        ("/news/*", "/news/a", {"splat": "a"}),
        ("/news/*", "/news/", {"splat": ""}),
        ("/news/*", "/news", {"splat": ""}),
        ("/news/*", "/newspaper", None),
        ("/news*", "/newspaper/1", {"splat": "paper/1"}),
        ("/*.jpg", "/a/b.jpg", {"splat": "a/b"}),
        ("/*.jpg", "/a/b.png", None),
        ("/aba*aba", "/aba", None),
        ("/aba*aba", "/abaaba", {"splat": ""}),
        ("/a/*/z", "/a/z", {"splat": ""}),
        ("/a/*/z", "/a/b/c/z", {"splat": "b/c"}),
        ("/a/*/z", "/a", None),
        ("/:a/*/:z", "/1/2/3/4", {"a": "1", "splat": "2/3", "z": "4"}),
        ("/wiki/Talk:Main", "/wiki/Talk:Main", {}),
        ("/:8080", "/:8080", {}),
        ("/%3Aname", "/:name", {}),
        ("/%2A", "/*", {}),
        ("/%2A", "/x", None),
    ],
)
def test_a_path_is_matched_by_segments(pattern: str, path: str, found: dict[str, str] | None) -> None:
    assert Pattern(pattern).match(Asked.of(path)) == found


@pytest.mark.parametrize(
    "pattern", ["", "a", "/*/*", "/a*b*", "/:a/:a", "/*/:splat", "/:a-:b", "/:a.html", "/%", "/%00"]
)
def test_what_is_no_path_to_match(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Pattern(pattern)


# ---- redirects

NETLIFY = """\
# A file as Netlify takes it, with what people write there.
/home              /
/blog/my-post.php  /blog/my-post          # the old blog
/news              /blog                 302
/cuties            https://cats.example/all?of=them#here
/authors/c%C3%A9line /authors/about-céline
/articles id=:id tag=:tag /posts/:tag/:id 301
/articles id=:id   /posts/:id            301
/articles          /posts                301
/shop color=blue   /blue
/ecommerce/*       /closed.html          404
/api/*             /api.html             200!
/forum/*           https://forum.example/:splat  301!
/trailing          /trailing/
/:lang/docs/*      /docs/:lang/:splat     307
/*                 /index.html           200
"""

CLOUDFLARE = """\
/blog/:year/:month/:slug  /:slug?year=:year&m=:month  303
/movies/:title            /media/:title               308
/loop/*                   /loop/:splat
/wiki/:page               https://wiki.example/Special:Search?q=:page
/files/*.zip              /archive/:splat.tar.gz
/empty/*                  /:splat/evil.example
/deep/*/end               /:splat
"""


@pytest.mark.parametrize(
    ("text", "asked", "status", "location"),
    [
        (NETLIFY, "/home", 301, "/"),
        (NETLIFY, "/home/", 301, "/"),
        (NETLIFY, "/home?a=b&c", 301, "/?a=b&c"),
        (NETLIFY, "/blog/my-post.php", 301, "/blog/my-post"),
        (NETLIFY, "/news", 302, "/blog"),
        (NETLIFY, "/cuties?a=b", 301, "https://cats.example/all?of=them#here"),
        (NETLIFY, "/authors/céline", 301, "/authors/about-c%C3%A9line"),
        (NETLIFY, "/articles?tag=x&id=7", 301, "/posts/x/7"),
        (NETLIFY, "/articles?id=7&utm=z", 301, "/posts/7?utm=z"),
        (NETLIFY, "/articles?id=", 301, "/posts?id="),
        (NETLIFY, "/articles?id=a%2Fb+c", 301, "/posts/a%2Fb%20c"),
        (NETLIFY, "/articles?%69d=7", 301, "/posts/7"),
        (NETLIFY, "/articles", 301, "/posts"),
        (NETLIFY, "/shop?color=blue", 301, "/blue"),
        (NETLIFY, "/shop?color=red", 200, "/index.html?color=red"),
        (NETLIFY, "/ecommerce/x/y", 404, "/closed.html"),
        (NETLIFY, "/api/v1/x", 200, "/api.html"),
        (NETLIFY, "/forum/a/b/", 301, "https://forum.example/a/b/"),
        (NETLIFY, "/forum", 301, "https://forum.example/"),
        (NETLIFY, "/forum/a b", 301, "https://forum.example/a%20b"),
        (NETLIFY, "/trailing", 301, "/trailing/"),
        (NETLIFY, "/trailing/", 200, "/index.html"),
        (NETLIFY, "/en/docs/a/b", 307, "/docs/en/a/b"),
        (NETLIFY, "/anything", 200, "/index.html"),
        (CLOUDFLARE, "/blog/2024/05/hello", 303, "/hello?year=2024&m=05"),
        (CLOUDFLARE, "/movies/a b?c", 308, "/media/a%20b?c"),
        (CLOUDFLARE, "/loop/a", None, None),
        (CLOUDFLARE, "/wiki/a&b", 301, "https://wiki.example/Special:Search?q=a%26b"),
        (CLOUDFLARE, "/files/2024/x.zip", 301, "/archive/2024/x.tar.gz"),
        (CLOUDFLARE, "/empty/", 301, "/evil.example"),
        (CLOUDFLARE, "/nothing", None, None),
    ],
)
def test_the_first_rule_that_fits_says_where_to(
    text: str, asked: str, status: int | None, location: str | None
) -> None:
    redirects, problems = parse_redirects(text)
    assert problems == []
    path, _, query = asked.partition("?")
    found = redirects.find(path, query)
    assert found == (None if status is None else Destination(status, location or "", found.forced if found else False))


def test_rules_count_in_their_order_whatever_they_look_like() -> None:
    redirects, _ = parse_redirects("/a/* /1\n/a/b /2\n/c /3\n/:x /4\n/d /5\n")
    for path, location in {"/a/b": "/1", "/c": "/3", "/d": "/4"}.items():
        found = redirects.find(path)
        assert found is not None
        assert found.location == location


def test_the_exclamation_mark_is_told() -> None:
    redirects, _ = parse_redirects("/a /b 302!\n/c /d 302\n")
    assert [found.forced for path in ("/a", "/c") if (found := redirects.find(path))] == [True, False]


def test_what_depends_on_the_query() -> None:
    redirects, _ = parse_redirects("/a x=:x /b/:x 301!\n/b x=:x /c/:x\n/c /d 301!\n/d /d?e 301!\n")
    found = {path: redirects.depends_on_query(path) for path in ("/a", "/a/", "/b", "/c", "/d")}
    assert found == {"/a": True, "/a/": True, "/b": False, "/c": False, "/d": True}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/a", "no target"),
        ("/a x=:x", "no target"),
        ("a /b", "begins with /"),
        ("https://a.example/* /b", "whole URL"),
        ("http://a.example/ https://b.example/", "whole URL"),
        ("/a?b=c /d", "no ? and no #"),
        ("/a#b /d", "no ? and no #"),
        ("/*/a/* /b", "one *"),
        ("/:a/:a /b", "twice"),
        ("/:a a=:a /b", "twice"),
        ("/:a.html /b", "whole segment"),
        ("/a%zz /b", "hexadecimal"),
        ("/a%00 /b", "NUL"),
        ("/a b", "neither a path nor"),
        ("/a //evil.example", "begins with //"),
        ("/a ftp://b.example/", "neither a path nor"),
        ("/a javascript:alert(1)", "neither a path nor"),
        ("/a https:///b", "neither a path nor"),
        ("/a https://user@b.example/", "neither a path nor"),
        ("/* https://:splat/", "neither a path nor"),
        ("/* https://:splat.b.example/", "neither a path nor"),
        ("/* https://b.example:splat/", "neither a path nor"),
        ("/* :splat", "neither a path nor"),
        ("/a /\\evil.example", "no URL has"),
        ("/a /<b>", "no URL has"),
        ("/a /b%2", "hexadecimal"),
        ("/a /:b", ":b, the path has not"),
        ("/:a /b/:splat", ":splat, the path has not"),
        ("/a /b?c=:c", ":c, the path has not"),
        ("/a /b 600", "600"),
        ("/a /b 0301", "nothing but a status"),
        ("/a /b 200 !", "nothing but a status"),
        ("/a /b 304", "304"),
        ("/a https://b.example/ 200", "path of this site"),
        ("/a https://b.example/ 404!", "path of this site"),
        ("/ /de 302 Language=de", "Language=…"),
        ("/ /au 302 Country=au,nz", "Country=…"),
        ("/ /x Role=admin", "Role=…"),
        ("/a /b c", "nothing but a status"),
        ("/a /b 301 c", "nothing but a status"),
        ("/a /b 301 302", "nothing but a status"),
        ("/a \x1b[2J", "control"),
        ("/a /b\r/c", "control"),
        ("/a /" + "b" * MAX_LINE, "longer than"),
    ],
)
def test_a_wrong_line_is_told_and_the_others_count(line: str, says: str) -> None:
    redirects, [problem] = parse_redirects(f"# first\n/before /x\n{line}\n/after /x\n")
    assert problem.line == 3
    assert says in problem.what
    assert redirects.find("/before")
    assert redirects.find("/after")


@pytest.mark.parametrize("text", ["", "\n\n", "# /a /b", "  # /a /b\n\t\n", "\ufeff# /a /b"])
def test_comments_and_nothing(text: str) -> None:
    redirects, problems = parse_redirects(text)
    assert problems == []
    assert redirects.find("/a") is None


def test_line_ends_and_blanks_are_as_they_come() -> None:
    redirects, problems = parse_redirects("\ufeff /a\t/b \r\n/c    /d\t301 \r\n")
    assert problems == []
    assert redirects.find("/a")
    assert redirects.find("/c")


def test_bounds() -> None:
    exact = "".join(f"/a{number} /b\n" for number in range(MAX_EXACT + 1))
    redirects, problems = parse_redirects(exact)
    assert [problem.line for problem in problems] == [MAX_EXACT + 1]
    assert redirects.find(f"/a{MAX_EXACT - 1}")
    patterns = "".join(f"/a{number}/* /b\n" for number in range(MAX_PATTERNS + 2))
    _, problems = parse_redirects(patterns + "/exact /b\n")
    assert [problem.line for problem in problems] == [MAX_PATTERNS + 1, MAX_PATTERNS + 2]
    _, problems = parse_redirects("#\n" * (MAX_TEXT // 2) + "/a /b")
    assert "longer than" in problems[-1].what
    _, problems = parse_headers("/a\n X: y\n" * (MAX_PATTERNS + 1))
    assert [problem.line for problem in problems] == [2 * MAX_PATTERNS + 1]


def test_no_path_is_slow_to_match() -> None:
    """Each rule looks at a path once.  A pattern that is tried again and again takes hours for this."""
    redirects, problems = parse_redirects(
        "".join(f"/:a/:b/:c*{'a' * number} /x\n" for number in range(1, MAX_PATTERNS))
    )
    assert problems == []
    began = time.process_time()
    for path in ("/" + "a" * 8_000 + "/b", "/" + "a/" * 4_000 + "b", "/" + "/" * 8_000):
        redirects.find(path, "a&" * 4_000)
    assert time.process_time() - began < 1


def test_no_query_is_slow_to_match() -> None:
    redirects, _ = parse_redirects("".join(f"/a x{number}=:x /:x\n" for number in range(1_000)))
    began = time.process_time()
    assert redirects.find("/a", "&".join(f"y{number}=1" for number in range(2_000))) is None
    assert time.process_time() - began < 1


_values = st.text("/\\.:@%?#a\t\r\n\0 ⁄＠", max_size=8)


@given(_values, _values, st.sampled_from(["/:splat", "/x/:splat", "/:splat/y", "/:q", "/:q/:splat", "/:splat:q"]))
def test_what_a_request_says_never_names_a_host(path: str, value: str, target: str) -> None:
    """A target that is a path stays one, whatever stands in for its names; so says the reader that browsers have."""
    redirects, [] = parse_redirects(f"/from/* q=:q {target} 302")
    query = "q=" + "".join(f"%{octet:02X}" for octet in value.encode())
    found = redirects.find("/from/" + path, query)
    if found is None:
        assert not value
        return
    assert found.location.startswith("/")
    assert not found.location.startswith(("//", "/\\"))
    assert found.location.isascii()
    assert found.location.isprintable()
    assert urlsplit(urljoin("http://this.example/x", found.location)).netloc == "this.example"


@given(_values)
def test_nor_does_it_in_the_url_of_another_site(path: str) -> None:
    redirects, [] = parse_redirects("/from/* https://other.example/:splat")
    found = redirects.find("/from/" + path)
    assert found is not None
    assert urlsplit(urljoin("http://this.example/x", found.location)).netloc == "other.example"


def test_what_the_readme_shows_is_right() -> None:
    shown = (TOP / "README.md").read_text(encoding="utf-8").partition("    # _redirects:")[2]
    redirects, _, headers = shown.partition("    # _headers\n")
    rules, problems = parse_redirects("#" + redirects)
    assert problems == []
    assert rules.find("/blog/2024/a/b") == Destination(302, "/posts/2024/a/b", False)
    lines, problems = parse_headers(headers.partition("\n\n")[0])
    assert problems == []
    assert lines.apply("/assets/a", [("X-Content-Type-Options", "nosniff")]) == (
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("X-Frame-Options", "DENY"),
    )


# ---- field lines

HEADERS = """\
# As Netlify and Cloudflare take it.
/*
  X-Frame-Options: DENY
  X-Robots-Tag: nosnippet
/assets/*
\tCache-Control: public
\tcache-control: max-age=31536000
\tX-Robots-Tag:noindex
/assets/*.js
  ! X-Frame-Options
  ! x-content-type-options
/:lang/special
  X-Special: a: b, "c"   # no comment
  Set-Cookie: a=b
  Set-Cookie: c=d
  Vary: Cookie
/reset
  ! X-Robots-Tag
  X-Robots-Tag: all
/*.txt
  content-type: text/plain; charset=iso-8859-1
"""

OWN = (("Content-Type", "text/x"), ("X-Content-Type-Options", "nosniff"), ("Vary", "Accept"))


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("/", [*OWN, ("X-Frame-Options", "DENY"), ("X-Robots-Tag", "nosnippet")]),
        (
            "/assets/a.css",
            [
                *OWN, ("X-Frame-Options", "DENY"), ("X-Robots-Tag", "nosnippet, noindex"),
                ("Cache-Control", "public, max-age=31536000"),
            ],
        ),
        (
            "/assets/a.js",
            [OWN[0], OWN[2], ("X-Robots-Tag", "nosnippet, noindex"), ("Cache-Control", "public, max-age=31536000")],
        ),
        (
            "/en/special",
            [
                *OWN, ("X-Frame-Options", "DENY"), ("X-Robots-Tag", "nosnippet"),
                ("X-Special", 'a: b, "c"   # no comment'), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"),
                ("Vary", "Cookie"),
            ],
        ),
        ("/reset", [*OWN, ("X-Frame-Options", "DENY"), ("X-Robots-Tag", "all")]),
        (
            "/a.txt",
            [
                *OWN[1:], ("X-Frame-Options", "DENY"), ("X-Robots-Tag", "nosnippet"),
                ("content-type", "text/plain; charset=iso-8859-1"),
            ],
        ),
    ],
)  # fmt: skip
def test_all_rules_that_fit_join(path: str, lines: list[tuple[str, str]]) -> None:
    rules, problems = parse_headers(HEADERS)
    assert problems == []
    assert rules.apply(path, OWN) == tuple(lines)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (" no field", "Name: value"),
        (" a b: c", "Name: value"),
        (" : c", "Name: value"),
        (" X-Empty:", "no value"),
        (" X: a\x01b", "control"),
        (" X: a\rSet-Cookie: b", "control"),
        (" X: ☃", "latin-1"),
        (" X: \udcff", "latin-1"),
        (" Content-Length: 5", "server's"),
        (" connection: close", "server's"),
        (" Transfer-Encoding: chunked", "server's"),
        (" Date: now", "server's"),
        (" ETag: x", "server's"),
        (" ! Content-Length", "server's"),
        (" ! vary", "not taken away"),
        (" !", "Name: value"),
        (" ! a b", "Name: value"),
        (" X: " + "a" * MAX_LINE, "longer than"),
    ],
)
def test_a_wrong_field_is_told_and_the_others_count(line: str, says: str) -> None:
    rules, [problem] = parse_headers(f"/a\n  X-Before: 1\n{line}\n  X-After: 2\n")
    assert problem.line == 3
    assert says in problem.what
    assert rules.apply("/a", ()) == (("X-Before", "1"), ("X-After", "2"))


def test_below_a_wrong_path_nothing_counts() -> None:
    rules, problems = parse_headers("  X: 0\n/a\n  X: 1\nhttps://b.example/a\n  X: 2\n/*/*\n  X: 3\n/c\n/d\n  X: 4\n")
    assert [line for line, _ in problems] == [1, 4, 6, 8]
    assert rules.apply("/a", ()) == (("X", "1"),)
    assert rules.apply("/c", ()) == ()
    assert rules.apply("/d", ()) == (("X", "4"),)


def test_a_problem_is_a_value() -> None:
    assert parse_headers("X: y\n")[1] == [Problem(1, "a field stands below a path")]
