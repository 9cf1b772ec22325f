"""Media types in their parts."""

from __future__ import annotations

import pytest

from httpd.protocol.media_types import parse_media_type


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/html", ("text/html", {})),
        (" Text/HTML ", ("text/html", {})),
        ("text/html;", ("text/html", {})),
        ("text/html ; ; Charset=UTF-8", ("text/html", {"charset": "UTF-8"})),
        ('a/b;c="d;e\\"f\\\\"; g=h ', ("a/b", {"c": 'd;e"f\\', "g": "h"})),
        ("a/b;c=d;c=e", ("a/b", {"c": "d"})),
        ("a/b;c", ("", {})),
        ("a/b;c=", ("", {})),
        ('a/b;c="d', ("", {})),
        ("a/b;c =d", ("", {})),
        ("a/b c", ("", {})),
        ("a", ("", {})),
        ("a/", ("", {})),
        ("", ("", {})),
    ],
)
def test_a_media_type_in_its_parts(value: str, expected: tuple[str, dict[str, str]]) -> None:
    assert parse_media_type(value) == expected
