"""JSON content: refused, or read as the standard library reads it, with nothing in it that readers disagree about."""

from __future__ import annotations

import json

from httpd.protocol.errors import HTTPError
from httpd.protocol.json_content import parse_json

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b'"a":1', b"\\", b"\\u00e9", b"\\ud800", b"\\ud83d\\ude00",
    b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"1.5", b"01", b"9" * 40, b" ", b"\n", b"\xc3\xa9", b"\xff",
    b"\xef\xbb\xbf", b"[" * 70, b'{"a":' * 70, b"application/json\n", b"application/json; charset=utf-16\n",
]  # fmt: skip


def one_input(data: bytes) -> None:
    """The content, or its type, the end of a line, and the content."""
    first, line_end, rest = data.partition(b"\n")
    typed = bool(line_end) and first.startswith(b"application/json")
    content_type, body = (first.decode("latin-1"), rest) if typed else ("application/json", data)
    try:
        value = parse_json(content_type, body)
    except HTTPError as error:
        assert error.status in (400, 413, 415)
        assert error.detail
        return
    assert value == json.loads(body)
    # It can be stored, sent, and read again.
    assert json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) == value
