"""Form content: read or refused, and what is read is what urllib reads."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from httpd.protocol.errors import HTTPError
from httpd.protocol.forms import URLENCODED, Form, parse_form, parse_query

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"application/x-www-form-urlencoded", b";charset=utf-8", b'; charset="UTF-8"', b"\n", b"&", b"=", b"+", b"%26",
    b"%c3%a9", b"%ff", b"%", b"%4", b"\\", b'"', b"multipart/form-data; boundary=a", b"a=b&",
]  # fmt: skip


def one_input(data: bytes) -> None:
    """The first line is the Content-Type, the rest the content."""
    content_type, _, body = data.partition(b"\n")
    read(lambda: parse_form(content_type.decode("latin-1"), body))
    form = read(lambda: parse_form(URLENCODED, body, max_fields=20, max_name=30, max_value=60))
    if form is not None:
        assert list(form.items()) == pairs(body)
        assert len(form) == len(pairs(body)) <= 20
        assert all(form[name] == form.get(name) == form.get_all(name)[0] for name in form)
    query = read(lambda: parse_query(body.decode("utf-8", "surrogateescape"), max_fields=20, max_name=30, max_value=60))
    assert query == form


def read(how: object) -> Form | None:
    try:
        return how()  # type: ignore[operator]
    except HTTPError as error:
        assert error.status in (400, 413, 415)
        return None


def pairs(body: bytes) -> list[tuple[str, str]]:
    """The same by urllib, which wants octets beyond ASCII escaped."""
    escaped = re.sub(rb"[\x80-\xff]", lambda octet: b"%%%02X" % octet[0][0], body)
    return parse_qsl(escaped.decode("ascii"), keep_blank_values=True, errors="strict")
