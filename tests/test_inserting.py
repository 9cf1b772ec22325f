"""A tag in a page: where it goes, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import Response, text
from httpd.site.inserting import in_body, is_page, with_tag

from .exchange import Given
from .scripted import every_cut

TAG = b"<script></script>"


def page(content: Any, kind: str = "text/html", **more: Any) -> Response:
    return Response(content, content_type=kind, **more)


def content_of(response: Response) -> bytes:
    """All of it, as it would be sent; its length is as announced."""
    body, made = response.body, b""
    if isinstance(body, bytes):
        made = body
    else:
        while (piece := body.more()) != b"":
            made += piece or b""
    assert response.length in (len(made), None)
    return made


# ---- in its head

# What stands before the tag, and what behind it.
PAGES = [
    ("", ""),
    ("", "text"),
    ("", "<p>no frame at all"),
    ("<!doctype html>", "<title>x</title>"),
    ("<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\" 'x'>\n<html xmlns='a'>\n", "<title>x</title>"),
    ("<!doctype html><html><head>", "<meta charset=utf-8></head>"),
    ("<!doctype html><html data-x='a>b' data-y=\"c>d\"><head class=x>", "<title>"),
    ("\ufeff \r\n\t<!doctype html>", "x"),
    ("<!-- first --><!doctype html><!-- then --><html><!---><head>", "<title>"),
    ("<!-- a --!> <!-- <!doctype> --><!doctype html>", "<header>no head</header>"),
    ("<?xml version='1.0'?><!doctype html><html>", "<body>"),
    ("<!doctype html>", "<htmlx>"),
    ("<!doctype html><html>", "<headx>"),
    ("<html>", "<p>no doctype"),
    ("<head>", "<p>nothing but this"),
    ("", "<!-- never ends <!doctype html>"),
    ("<!doctype html>", "<html title='never ends><head>"),
    ("<!--" + " long" * 1_000 + "--><!doctype html>", "<p>"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), PAGES)
def test_where_the_tag_goes(before: str, after: str) -> None:
    start, rest = before.encode(), after.encode()
    assert content_of(with_tag(page(start + rest), TAG)) == start + TAG + rest


@pytest.mark.parametrize(("before", "after"), PAGES)
def test_never_before_the_doctype_wherever_a_page_is_cut(before: str, after: str) -> None:
    start, rest = before.encode(), after.encode()
    doctype = start.lower().find(b"<!doctype html")
    for pieces in ([start, rest], [start + rest], *every_cut((start + rest)[-150:])):
        whole = b"".join(pieces)
        for length in (len(whole), None):
            made = content_of(with_tag(page(Given(*filter(None, pieces)), length=length), TAG))
            assert made.replace(TAG, b"", 1) == whole
            if whole == start + rest and doctype >= 0:
                assert made.find(TAG) > doctype


@given(st.lists(st.sampled_from(["<!doctype html>", "<!--", "-->", "<html>", "<head>", "<", ">", " ", "x", "'"])))
def test_a_page_of_any_pieces_is_whole_but_for_the_tag(parts: list[str]) -> None:
    pieces = [part.encode() for part in parts]
    made = content_of(with_tag(page(Given(None, *pieces, None), length=sum(map(len, pieces))), TAG))
    assert made.count(TAG) == 1
    assert made.replace(TAG, b"") == b"".join(pieces)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_left_alone(encoding: str) -> None:
    content = "\ufeff<!doctype html>".encode(encoding)
    assert content_of(with_tag(page(content), TAG)) == content
    assert content_of(with_tag(page(Given(content), length=len(content)), TAG)) == content
    assert not is_page(page(content, f"text/html; charset={encoding}"))


def test_no_more_of_a_page_is_made_than_its_beginning() -> None:
    content = Given(b"<!doctype html><p>", *[b"x"] * 5)
    response = with_tag(page(content), TAG)
    assert len(content.pieces) == 5
    assert response.length is None
    assert content_of(response) == b"<!doctype html>" + TAG + b"<p>xxxxx"


def test_a_long_comment_is_not_waited_for_for_ever() -> None:
    content = Given(*[b"<!-- and so on" * 1_000] * 100)
    with_tag(page(content), TAG)
    assert len(content.pieces) == 95


def test_a_page_that_fails_at_its_beginning_is_closed() -> None:
    content = Given(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        with_tag(page(content), TAG)
    assert content.closes == 1


@pytest.mark.parametrize(
    "response",
    [
        text("<p>text"),
        page(b"x", "application/xhtml+xml"),
        page(b"x", "text/html", headers=[("Content-Encoding", "gzip")]),
        page(b"x", "text/html", headers=[("Content-Disposition", "attachment; filename=a.html")]),
        page(b"x", "text/html; charset=UTF-16"),
        Response(b"", 304, content_type="text/html"),
        Response(b"x", 206, content_type="text/html"),
        Response(b"x"),
    ],
)
def test_what_is_no_page(response: Response) -> None:
    assert not is_page(response)


# ---- where what it shows begins

# What stands before the tag, and what behind it.
BODIES = [
    ("<!doctype html><html><head><title>x</title></head><body>", "<p>text</p></body>"),
    ("<body>", ""),
    ("<title>x</title><BODY class=a data-x='b>c'\n id=\"d>e\">", "<p>"),
    ("<!-- <body> --><script>\"<body>\"</script><style>/* <body> */</style><title><body></title><body>", "<body>"),
    ("<bodyguard><body/>", "<p>"),
]


@pytest.mark.parametrize(("before", "after"), BODIES)
def test_where_the_tag_goes_in_what_it_shows(before: str, after: str) -> None:
    start, rest = before.encode(), after.encode()
    assert content_of(with_tag(page(start + rest), TAG, in_body)) == start + TAG + rest
    for pieces in every_cut(start + rest):
        made = with_tag(page(Given(*filter(None, pieces)), length=len(start + rest)), TAG, in_body)
        assert content_of(made) == start + TAG + rest


@pytest.mark.parametrize("content", ["", "<p>no frame", "<!-- <body>", "<title><body>", "<body title='never ends>"])
def test_a_page_that_leaves_its_body_out_stays_as_it_is(content: str) -> None:
    whole = content.encode()
    assert content_of(with_tag(page(whole), TAG, in_body)) == whole
    assert content_of(with_tag(page(Given(*filter(None, [whole])), length=len(whole)), TAG, in_body)) == whole


def test_a_body_is_not_waited_for_for_ever() -> None:
    content = Given(*[b"<link>" * 1_000] * 100)
    made = with_tag(page(content), TAG, in_body)
    assert len(content.pieces) == 89
    assert content_of(made) == b"<link>" * 100_000
