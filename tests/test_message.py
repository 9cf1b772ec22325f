"""Requests and responses as values."""

from __future__ import annotations

import json as jsonlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.message import (
    Content,
    Head,
    Headers,
    Request,
    Response,
    html,
    json,
    redirect,
    render_fields,
    text,
)

from .heads import parser


class Stream:
    """Content that is made while it is sent."""

    def more(self) -> bytes | None:
        return b""


def head(data: bytes = b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX: y") -> Head:
    found = parser().parse(data)
    assert isinstance(found, Head)
    return found


# ---- header fields


def test_fields_are_read_by_name_without_regard_to_case() -> None:
    headers = Headers([("Content-Type", "a/b"), ("X", "y")])
    assert headers["content-type"] == headers["CONTENT-TYPE"] == headers.get("Content-type") == "a/b"
    assert "x" in headers
    assert "y" not in headers
    assert 5 not in headers
    assert headers.get("y") == ""
    assert headers.get("y", "none") == "none"
    with pytest.raises(KeyError):
        headers["y"]


def test_lines_of_one_name_read_as_one_value() -> None:
    headers = Headers([("Accept", "a/b"), ("X", "y"), ("accept", "c/d"), ("Cookie", "e=f"), ("cookie", "g=h")])
    assert headers["accept"] == "a/b, c/d"
    assert headers["cookie"] == "e=f; g=h"
    assert headers.get_all("ACCEPT") == ["a/b", "c/d"]
    assert headers.get_all("y") == []


def test_lines_keep_their_order_and_spelling() -> None:
    lines = [("B", "1"), ("a", "2"), ("B", "3")]
    assert list(Headers(lines)) == lines
    assert len(Headers(lines)) == 3
    assert repr(Headers(lines)) == f"Headers({lines!r})"
    assert Headers(lines) == Headers(lines)
    assert Headers(lines) != Headers(lines[1:])
    assert Headers(lines) != lines


def test_several_fields_can_be_missed_at_once() -> None:
    assert Headers([("A", "b")]).lacks(frozenset({"c", "d"}))
    assert not Headers([("A", "b")]).lacks(frozenset({"a", "d"}))


# ---- a request


def test_a_request_shows_what_its_head_says() -> None:
    request = Request(head(), b"", "192.0.2.1")
    assert (request.method, request.target, request.path, request.query) == ("GET", "/a?b=c", "/a", "b=c")
    assert (request.version, request.host, request.headers["x"]) == ("1.1", "example.org", "y")
    assert repr(request) == "<Request 'GET /a?b=c HTTP/1.1' from 192.0.2.1>"


def test_requests_share_a_head_but_nothing_else() -> None:
    first, second = Request(head()), Request(head())
    first.params["a"] = "b"
    assert second.params == {}


# ---- a response


@pytest.mark.parametrize(
    ("response", "fields"),
    [
        (Response(), b"Content-Length: 0\r\n\r\n"),
        (Response("é"), b"Content-Length: 2\r\n\r\n"),
        (Response("/\udcff"), b"Content-Length: 2\r\n\r\n"),
        (Response(b"a", headers=[("X", "y")]), b"X: y\r\nContent-Length: 1\r\n\r\n"),
        (Response(b"a", content_type="a/b"), b"Content-Type: a/b\r\nContent-Length: 1\r\n\r\n"),
        (Response(Stream()), b"\r\n"),
        (Response(Stream(), length=5), b"Content-Length: 5\r\n\r\n"),
        (Response(b"", 204), b"\r\n"),
        (Response(b"", 304, [("ETag", '"a"')]), b'ETag: "a"\r\n\r\n'),
        (Response(bytearray(b"ab")), b"Content-Length: 2\r\n\r\n"),
        (Response(memoryview(b"ab")), b"Content-Length: 2\r\n\r\n"),
        (Response(headers=[("X", "a\tb\xe9")]), b"X: a\tb\xe9\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_field_lines_as_they_are_sent(response: Response, fields: bytes) -> None:
    assert response.fields == fields
    assert response.fields is response.fields


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f", "\x1b[0m", "€"])
def test_a_value_that_would_break_the_head_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        assert Response(headers=[("X", value)]).fields


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", " a"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="field name"):
        render_fields([(name, "b")])


@given(st.text(max_size=8), st.text(max_size=12))
def test_no_field_makes_two_lines(name: str, value: str) -> None:
    try:
        rendered = render_fields([(name, value)])
    except ValueError:
        return
    assert rendered.count(b"\n") == rendered.count(b"\r") == 2


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (Response(b"", 100), ValueError),
        (Response(b"", 1000), ValueError),
        (Response(b"", "200"), ValueError),  # type: ignore[arg-type]
        (Response(5), TypeError),  # type: ignore[arg-type]
        (Response(None), TypeError),  # type: ignore[arg-type]
        (Response(Stream(), length=-1), ValueError),
        (Response(b"", headers=[("content-length", "5")]), ValueError),
        (Response(b"", headers=[("Transfer-Encoding", "chunked")]), ValueError),
        (Response(b"", headers=[("Connection", "close")]), ValueError),
    ],
)
def test_what_could_not_be_sent_as_it_says_is_refused(response: Response, error: type[Exception]) -> None:
    with pytest.raises(error):
        assert response.fields


def test_a_response_again_with_another_body() -> None:
    first = Response(b"abc", 200, [("X", "y")])
    second = first.again(b"def")
    assert second.fields is first.fields
    assert (first.body, second.body, second.length, second.status) == (b"abc", b"def", 3, 200)


def test_a_response_says_what_it_is() -> None:
    assert repr(Response(b"a", 404)) == "<Response 404 Not Found length=1>"
    assert repr(Response(Stream(), 299)) == "<Response 299 Unknown length=None>"


def test_content_is_whatever_gives_more() -> None:
    assert isinstance(Stream(), Content)
    assert not isinstance(b"", Content)


# ---- the common kinds


def test_the_common_kinds_of_response() -> None:
    assert html("<p>é", 404).fields == b"Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
    assert text("é", headers=[("X", "y")]).headers == [("Content-Type", "text/plain; charset=utf-8"), ("X", "y")]
    answer = json({"a": ["é", None]})
    assert isinstance(answer.body, bytes)
    assert jsonlib.loads(answer.body) == {"a": ["é", None]}
    assert answer.headers == [("Content-Type", "application/json")]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_what_json_has_not_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json(value)


def test_a_redirect_cannot_be_split() -> None:
    assert redirect("/thanks").status == 303
    assert redirect("/a", 308).fields == b"Location: /a\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ValueError):
        assert redirect("/a\r\nSet-Cookie: b").fields
