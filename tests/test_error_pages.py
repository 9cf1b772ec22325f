"""httpd.site.error_pages: what a client is told."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.errors import Refusal
from httpd.protocol.message import Response
from httpd.site import error_pages, templates
from httpd.site.error_pages import Excerpt, error_response, excerpt, visible

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: <script>alert(1)</script>\r\nX: y"
REFUSAL = Refusal(400, "A field name holds a space.", "RFC 9112 §5.1", HEAD.index(b"Bad"), 8)


def body(response: Response) -> str:
    assert isinstance(response.body, bytes)
    assert response.length == len(response.body)
    return response.body.decode()


def test_html_shows_status_reason_and_detail() -> None:
    response = error_response(404, "No such <page>.", accept="text/html")
    page = body(response)
    assert response.status == 404
    assert dict(response.headers)["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>404 Not Found</title>" in page
    assert "No such &lt;page&gt;." in page
    assert "<page>" not in page


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("text/html;q=0.1, application/json", "application/problem+json"),
        ("text/plain", "text/plain"),
        ("image/png", "text/html"),
        ("\udcff", "text/html"),
    ],
)
def test_the_client_chooses_the_kind(accept: str, kind: str) -> None:
    headers = dict(error_response(404, accept=accept).headers)
    assert headers["Content-Type"].startswith(kind)
    assert headers["Vary"] == "Accept"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_json_is_what_a_program_needs() -> None:
    response = error_response(400, accept="application/json", refusal=REFUSAL, guilty=excerpt(HEAD, REFUSAL))
    assert json.loads(body(response)) == {
        "status": 400,
        "title": "Bad Request",
        "detail": "A field name holds a space.",
        "rule": "RFC 9112 §5.1",
        "section": "https://www.rfc-editor.org/rfc/rfc9112#section-5.1",
        "start": REFUSAL.start,
        "length": 8,
        "guilty": "Bad Name",
        "line": "Bad Name: <script>alert(1)</script>\\r\\n",
        "carets": "^" * 8,
    }
    assert json.loads(body(error_response(404, "x", accept="application/json"))) == {
        "status": 404, "title": "Not Found", "detail": "x",
    }  # fmt: skip


def test_the_guilty_bytes_stand_in_their_line_with_carets_below() -> None:
    found = excerpt(HEAD, REFUSAL)
    assert found == Excerpt("", "Bad Name", ": <script>alert(1)</script>\r\n")
    page = body(error_response(400, accept="text/html", refusal=REFUSAL, guilty=found))
    assert (
        '<pre>Bad Name: &lt;script&gt;alert(1)&lt;/script&gt;\\r\\n\n<span class="carets">^^^^^^^^</span></pre>' in page
    )
    assert "<script" not in page
    assert "RFC 9112 §5.1" in page
    assert "https://www.rfc-editor.org/rfc/rfc9112#section-5.1" in page
    assert "A field name holds a space." in page


def test_guilty_bytes_alone_will_do() -> None:
    page = body(error_response(400, accept="text/plain", refusal=REFUSAL, guilty="Bad\x00\xff"))
    assert page.splitlines()[-2:] == ["Bad\\0\\xff", "^" * 9]
    assert "RFC 9112 §5.1" in page


@pytest.mark.parametrize(
    ("start", "length", "before", "guilty", "after"),
    [
        (0, 3, "", "GET", " / HTTP/1.1\r\n"),
        (4, 1, "GET ", "/", " HTTP/1.1\r\n"),
        (16, 0, "", "", "Host: a\r\n"),
        (14, 2, "GET / HTTP/1.1", "\r\n", ""),
        (len(HEAD), 0, "X: y", "", ""),
        (len(HEAD) - 1, 9, "X: ", "y", ""),
        (len(HEAD) + 5, 1, "X: y", "", ""),
    ],
)
def test_an_excerpt_keeps_to_its_line(start: int, length: int, before: str, guilty: str, after: str) -> None:
    assert excerpt(HEAD, Refusal(400, "", "", start, length)) == Excerpt(before, guilty, after)


def test_what_is_missing_has_one_caret() -> None:
    assert (Excerpt("ab", "", "cd").line, Excerpt("ab", "", "cd").carets) == ("abcd", "  ^")


@given(data=st.binary(max_size=300), start=st.integers(-5, 400), length=st.integers(0, 400))
def test_carets_stand_below_the_guilty_bytes(data: bytes, start: int, length: int) -> None:
    found = excerpt(data, Refusal(400, "", "", start, length))
    shown, carets = found.line, found.carets
    assert shown.isprintable()
    assert len(shown) <= 4 * (48 + 97 + 48)
    marked = shown[carets.index("^") : len(carets)]
    if found.guilty:
        assert marked == visible(found.guilty[:96]) + ("…" if len(found.guilty) > 96 else "")
    assert (found.before + found.guilty + found.after).encode("latin-1") in data


@given(st.binary(max_size=60))
def test_nothing_of_the_client_reaches_the_page_unescaped(data: bytes) -> None:
    refusal = Refusal(400, "A reason.", "RFC 9112 §5", 0, len(data))
    detail = data.decode("latin-1")
    page = body(error_response(400, "<i>" + detail, accept="text/html", refusal=refusal, guilty=excerpt(data, refusal)))
    plain = body(error_response(400, "", accept="text/html", refusal=refusal, guilty=""))
    assert page.count("<") <= plain.count("<")
    assert "<i>" not in page


@pytest.mark.parametrize("name", ["Cookie", "AUTHORIZATION", "proxy-authorization "])
def test_no_credentials_are_shown(name: str) -> None:
    data = f"GET / HTTP/1.1\r\n{name}: a=\x00\xff secret\r\n secret\r\nX: y".encode("latin-1")
    found = excerpt(data, Refusal(400, "", "", data.index(b"\x00"), 1))
    assert found == Excerpt(f"{name}: **", "\x00", "* ******\r\n")
    folded = excerpt(data, Refusal(400, "", "", data.rindex(b" secret"), 1))
    assert folded == Excerpt("", " ", "******\r\n")
    assert excerpt(data, Refusal(400, "", "", data.index(b"X: y"), 1)).line == "X: y"


def test_a_long_guilty_run_is_cut() -> None:
    data = b"A" * 30_000
    refusal = Refusal(414, "Too long.", "RFC 9112 §3", 8_192, 20_000)
    for accept in ("text/html", "application/json", "text/plain"):
        assert len(body(error_response(414, accept=accept, refusal=refusal, guilty=excerpt(data, refusal)))) < 6_000


def test_extra_field_lines_come_along() -> None:
    assert ("Allow", "GET") in error_response(405, headers=[("Allow", "GET")]).headers
    assert "Allow" not in dict(error_response(404).headers)


def test_405_always_carries_allow() -> None:
    assert dict(error_response(405).headers)["Allow"] == ""
    assert [value for name, value in error_response(405, headers=[("allow", "GET")]).headers if name == "Allow"] == []


def test_the_same_error_again_costs_nothing_to_render() -> None:
    assert error_response(404, accept="text/html") is error_response(404, accept="text/html")
    assert error_response(404, accept="text/html") is not error_response(404, accept="text/plain")


def test_what_is_kept_ready_is_bounded() -> None:
    for number in range(1_000):
        error_response(404, f"No {number}.", accept="text/plain")
    assert len(error_pages._ready) <= 128
    error_response(404, "x" * 2_000, accept="text/plain")
    assert all(len(str(key)) <= 1_000 for key in error_pages._ready)


@pytest.mark.parametrize("status", [103, 204, 304])
def test_a_status_without_content_has_none(status: int) -> None:
    assert error_response(status, "x").body == b""


def test_without_jinja2_the_page_is_plain_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ImportError("no jinja2")

    monkeypatch.setattr(templates, "bundled", fail)
    with caplog.at_level(logging.ERROR):
        response = error_response(499, "Sorry.", accept="text/html")
    assert dict(response.headers)["Content-Type"] == "text/plain; charset=utf-8"
    assert body(response) == "499 Unknown\nSorry.\n"
    assert "no jinja2" in caplog.text


@pytest.mark.parametrize(
    ("rule", "address"),
    [
        ("RFC 9112 §5.1", "https://www.rfc-editor.org/rfc/rfc9112#section-5.1"),
        ("RFC 9112 §C.2.2", "https://www.rfc-editor.org/rfc/rfc9112#appendix-C.2.2"),
        ("RFC 9110 §5.6.2.", "https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"),
        ("a limit of this server", ""),
    ],
)
def test_a_rule_leads_to_its_section(rule: str, address: str) -> None:
    refusal = Refusal(400, "No.", rule, 3, 0)
    told = json.loads(body(error_response(400, accept="application/json", refusal=refusal)))
    assert told.get("section", "") == address
    assert (f'href="{address}"' in body(error_response(400, refusal=refusal))) == bool(address)
