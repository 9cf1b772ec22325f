"""A page's policy, with something of ours let in."""

from __future__ import annotations

import pytest

from httpd.site.policy import admitting, hash_source

LET_IN = "a:1/reload.js"
HEARD = "a:1/reload"
STYLE = hash_source("p { }")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("", ""),
        ("img-src *", "img-src *"),
        ("script-src 'self'", f"script-src 'self' {LET_IN}"),
        ("Script-Src 'NONE';; ", f"script-src {LET_IN}"),
        ("default-src 'none'", f"default-src 'none'; script-src {LET_IN}; connect-src {HEARD}"),
        ("connect-src b c; img-src *", f"connect-src b c {HEARD}; img-src *"),
        ("script-src b; script-src-elem c", f"script-src b; script-src-elem c {LET_IN}"),
        ("script-src b,img-src c", f"script-src b {LET_IN},img-src c"),
    ],
)
def test_a_policy_lets_our_script_in_and_nothing_else(policy: str, said: str) -> None:
    lines = [("Content-Security-Policy", policy), ("X-Other", policy)]
    ours = ("script-src", LET_IN), ("connect-src", HEARD)
    assert admitting(lines, *ours) == [("Content-Security-Policy", said), lines[1]]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("style-src 'sha256-a'", f"style-src 'sha256-a' {STYLE}"),
        ("default-src 'none'", f"default-src 'none'; style-src {STYLE}"),
        ("style-src 'unsafe-inline'", "style-src 'unsafe-inline'"),
    ],
)
def test_a_style_is_let_in_by_its_hash_where_not_every_one_is(policy: str, said: str) -> None:
    assert admitting([("Content-Security-Policy", policy)], ("style-src", STYLE)) == [("Content-Security-Policy", said)]


def test_a_hash_is_of_the_text() -> None:
    assert hash_source("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
