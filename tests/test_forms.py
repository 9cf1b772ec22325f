"""Forms: what was filled in arrives as it was, or not at all."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.errors import HTTPError
from httpd.protocol.forms import FORM_TYPES, Form, parse_form, parse_query
from httpd.protocol.json_content import parse_json
from httpd.protocol.message import Headers, Request

from .factories import head_of, request

URLENCODED = "application/x-www-form-urlencoded"


def fields(body: bytes, content_type: str = URLENCODED, **limits: int) -> list[tuple[str, str]]:
    return list(parse_form(content_type, body, **limits).items())


# ---- reading


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"a=b", [("a", "b")]),
        (b"a=b&c=d&a=e", [("a", "b"), ("c", "d"), ("a", "e")]),
        (b"&a=b&&c=d&", [("a", "b"), ("c", "d")]),
        (b"a", [("a", "")]),
        (b"a=", [("a", "")]),
        (b"=b", [("", "b")]),
        (b"=", [("", "")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"a+b=c+d", [("a b", "c d")]),
        (b"a=%2B%26%3d%25", [("a", "+&=%")]),
        (b"a=%2525", [("a", "%25")]),
        (b"a=%C3%A9\xc3\xa9", [("a", "éé")]),
        (b"a=1%0D%0A2", [("a", "1\r\n2")]),
        (b"a=b;c=d", [("a", "b;c=d")]),
        (b"\xef\xbb\xbfa=b", [("\ufeffa", "b")]),
    ],
)
def test_urlencoded(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert fields(body) == expected


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=8))
def test_what_the_standard_library_writes_comes_back(items: list[tuple[str, str]]) -> None:
    written = urlencode(items)
    assert fields(written.encode()) == items
    assert list(parse_query(written).items()) == items


@given(st.text("ab=&+%20%C3%A9é", max_size=30))
def test_what_is_taken_is_read_as_the_standard_library_reads_it(text: str) -> None:
    with contextlib.suppress(HTTPError):
        assert fields(text.encode()) == parse_qsl(text, keep_blank_values=True)


# ---- refusing


@pytest.mark.parametrize("body", [b"a=%", b"a=%4", b"a=%zz", b"%=a", b"a=b&c=%+1", b"a=%-1", b"a=%%41"])
def test_a_broken_escape_is_refused(body: bytes) -> None:
    with pytest.raises(HTTPError, match="percent escape") as caught:
        fields(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"%C3=a", b"a=%C3&b=%A9", b"a=%ED%A0%80", b"a=%C0%80"])
def test_what_is_no_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(HTTPError, match="not UTF-8") as caught:
        fields(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a=1&b=%ff", {"b": "This is not UTF-8."}),
        (b"a=1&b=%f", {"b": "This has a broken percent escape."}),
        (b"a=1&b=" + b"x" * 1_048_577, {"b": "This is longer than 1048576 bytes."}),
        (b"a=1&%ff=1", {}),
    ],
)
def test_the_field_that_is_to_blame_is_named(body: bytes, told: dict[str, str]) -> None:
    with pytest.raises(HTTPError) as caught:
        fields(body)
    assert caught.value.fields == told
    assert ("'b'" in caught.value.detail) == bool(told)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "multipart/form-data; boundary=a",
        "application/json",
        "nonsense",
        "/",
        URLENCODED + "; a",
        "a/b/c",
    ],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(HTTPError) as caught:
        fields(b"a=b", content_type)
    assert caught.value.status == 415
    assert caught.value.headers == (("Accept", FORM_TYPES),)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", r'"u\tf-8"'])
def test_utf8_may_be_named(charset: str) -> None:
    assert fields(b"a=b", f"Application/X-WWW-Form-urlencoded ; charset={charset}") == [("a", "b")]


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '""'])
def test_another_charset_is_refused(charset: str) -> None:
    with pytest.raises(HTTPError, match="UTF-8") as caught:
        fields(b"a=b", f"{URLENCODED}; charset={charset}")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (b"a&a&a", {"max_fields": 2}),
        (b"&&", {"max_fields": 2}),
        (b"abc=d", {"max_name": 2}),
        (b"a=bcd", {"max_value": 2}),
        (b"a=%C3%A9%C3%A9", {"max_value": 3}),
    ],
)
def test_a_form_that_passes_a_limit_is_refused(body: bytes, limits: dict[str, int]) -> None:
    assert fields(body) == fields(body, **{name: limit + 1 for name, limit in limits.items()})
    with pytest.raises(HTTPError) as caught:
        fields(body, **limits)
    assert caught.value.status == 413


def test_the_limits_that_hold_by_themselves() -> None:
    assert len(parse_query("&".join("a" * 1000))) == 1000
    with pytest.raises(HTTPError, match="413"):
        parse_query("&".join("a" * 1001))


# ---- the form


def test_a_form_by_name() -> None:
    form = Form([("a", "1"), ("b", "2"), ("a", "3")])
    assert form["a"] == "1"
    assert form.get("a") == "1"
    assert form.get("c") == ""
    assert form.get("c", "none") == "none"
    assert form.get_all("a") == ["1", "3"]
    assert form.get_all("c") == []
    assert "a" in form
    assert "c" not in form
    assert list(form) == ["a", "b"]
    assert len(form) == 3
    assert form == Form([("a", "1"), ("b", "2"), ("a", "3")])
    assert form != Form()
    assert repr(Form([("a", "1")])) == "Form([('a', '1')])"


def test_what_get_all_gives_is_the_callers_own() -> None:
    form = Form([("a", "1")])
    form.get_all("a").append("2")
    assert form.get_all("a") == ["1"]


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(HTTPError, match="message") as caught:
        Form([("a", "1")])["message"]
    assert caught.value.status == 400


# ---- from a request


def test_a_request_has_its_form_and_its_query() -> None:
    head = head_of(
        request_line="POST /?q=1 HTTP/1.0",
        method="POST",
        target="/?q=1",
        path="/",
        query="q=1",
        version="1.0",
        headers=Headers([("Content-Type", URLENCODED)]),
        host="",
        content_length=3,
        expects_continue=False,
        persistent=None,
    )
    request = Request(head, b"a=b")
    assert request.form["a"] == "b"
    assert request.form is request.form
    assert request.args["q"] == "1"


# ---- JSON


def value(body: bytes, content_type: str = "application/json", **limits: int) -> object:
    return parse_json(content_type, body, **limits)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"null", None),
        (b' {"a": [1, 2.5, "\xc3\xa9\\u00e9\\ud83d\\ude00"]}\n', {"a": [1, 2.5, "éé😀"]}),
        (b'"[[[[[ \\" [[[[ \\\\"', '[[[[[ " [[[[ \\'),
        (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
    ],
)
def test_json(body: bytes, expected: object) -> None:
    assert value(body, max_depth=2) == expected
    assert value(body, 'application/problem+json; charset="UTF-8"') == expected


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "line 1, column 1"),
        (b'{\n  "a": 1,\n  oops\n}', 400, "line 3, column 3"),
        (b'{"a": 1} x', 400, "line 1, column 10"),
        (b'\xef\xbb\xbf"a"', 400, "line 1, column 1"),
        (b'"a\n"', 400, "line 1, column 3"),
        (b'[1,\n "\xff"]', 400, "not UTF-8, at line 2, byte 3"),
        (b"[NaN]", 400, "NaN is no JSON"),
        (b"-Infinity", 400, "-Infinity is no JSON"),
        (b"1e999", 400, "too large"),
        (b"1" * 5000, 400, "too many digits"),
        (b'{"a": 1, "b": 2, "a": 3}', 400, "'a' stands twice"),
        (b'"\\ud800"', 400, "surrogate"),
        (b'{"\\uDFFF": 1}', 400, "surrogate"),
        (b"[" * 65 + b"]" * 65, 413, "deeper than 64"),
        (b'[{"a":' * 100_000, 413, "deeper than 64"),
        (b'"\\"[', 400, "line 1, column 1"),
        (b'"\\' * 100_000, 400, "line 1"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body: bytes, status: int, reason: str) -> None:
    with pytest.raises(HTTPError) as caught:
        value(body)
    assert (caught.value.status, reason in caught.value.detail) == (status, True)


@pytest.mark.parametrize("content_type", ["", "text/json", "application/json; charset=latin-1", URLENCODED])
def test_json_of_another_type_is_refused(content_type: str) -> None:
    with pytest.raises(HTTPError) as caught:
        value(b"1", content_type)
    assert (caught.value.status, caught.value.headers) == (415, (("Accept", "application/json"),))


def test_a_request_has_its_json() -> None:
    assert request("/", "POST", headers={"Content-Type": "application/json"}, body=b"[1]").json == [1]
    with pytest.raises(HTTPError, match="415"):
        _ = request("/", "POST", headers={"Content-Type": "application/json"}, body=b"[1]").form
