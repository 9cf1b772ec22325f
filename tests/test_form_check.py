"""Fields that are checked: each reader gives the value or a reason, and the answer tells all reasons at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from httpd import HTTPError, Request, Response, Router, Sessions, text
from httpd.protocol.form_check import FormCheck
from httpd.protocol.forms import Form

from .exchange import Exchange, post

URLENCODED = "Content-Type: application/x-www-form-urlencoded"


def checked(read: Callable[[FormCheck], Any], *values: str) -> tuple[Any, str]:
    """(what was read, the reason) of the field `a` with these values."""
    check = Form([("a", value) for value in values]).check()
    return read(check), check.errors.get("a", "")


@pytest.mark.parametrize(
    ("read", "values", "expected", "reason"),
    [
        (lambda c: c.text("a"), [" b c "], "b c", ""),
        (lambda c: c.text("a"), [], "", "Please fill this in."),
        (lambda c: c.text("a"), ["  "], "", "Please fill this in."),
        (lambda c: c.text("a", ""), ["  "], "", ""),
        (lambda c: c.text("a", "x"), [], "x", ""),
        (lambda c: c.text("a"), ["1", "2"], "", "This was sent more than once."),
        (lambda c: c.text("a", most=3), ["abcd"], "", "Please use 3 letters at the most: this has 4."),
        (lambda c: c.text("a", most=3), ["äöü"], "äöü", ""),
        (lambda c: c.text("a"), ["b\nc"], "", "Please use letters only, in one line."),
        (lambda c: c.text("a"), ["b\0c"], "", "Please use letters only, in one line."),
        (lambda c: c.text("a", lines=True), ["b\r\nc\rd\ne\tf"], "b\nc\nd\ne\tf", ""),
        (lambda c: c.text("a", lines=True), ["b\x1bc"], "", "Please use letters only."),
        (lambda c: c.number("a"), [" -7 "], -7, ""),
        (lambda c: c.number("a", 3), [""], 3, ""),
        (lambda c: c.number("a"), ["1.5"], 0, "Please give a whole number."),
        (lambda c: c.number("a"), ["٣"], 0, "Please give a whole number."),
        (lambda c: c.number("a"), ["9" * 19], 0, "Please give a whole number."),
        (lambda c: c.number("a", least=1, most=3), ["4"], 0, "Please give a number from 1 to 3."),
        (lambda c: c.number("a", least=1), ["0"], 0, "Please give 1 or more."),
        (lambda c: c.number("a", most=3), ["4"], 0, "Please give a number of 3 or less."),
        (lambda c: c.choice("a", ["x", "y"]), ["y"], "y", ""),
        (lambda c: c.choice("a", ["x", "y"]), ["z"], "", "Please choose one of those that there are."),
        (lambda c: c.flag("a"), ["on"], True, ""),
        (lambda c: c.flag("a"), [], False, ""),
    ],
)
def test_a_field_is_read_or_a_reason_is_given(read: Any, values: list[str], expected: Any, reason: str) -> None:
    assert checked(read, *values) == (expected, reason)


def site() -> Router:
    router = Router()

    @router.post("/")
    def take(request: Request) -> Response:
        check = request.form.check()
        name = check.text("name")
        check.number("age", least=0)
        if name == "taken":
            check.wrong("name", "That name is <taken>.")
            check.wrong("name", "Nobody hears this.")
        check.done()
        return text("taken")

    @router.post("/plain")
    def plain(request: Request) -> Response:
        return text(request.form["name"])

    return router


def asked(content: bytes, accept: str, path: str = "/") -> Any:
    return Exchange([post(content, URLENCODED, f"Accept: {accept}", path=path)], site()).answers("POST")[0]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert asked(b"name=a&age=1", "*/*").body == b"taken"
    answer = asked(b"name=taken&age=x", "application/json")
    assert answer.status == 422
    assert json.loads(answer.body) == {
        "status": 422,
        "title": "Unprocessable Content",
        "detail": "Some of what was sent cannot be taken as it is.",
        "errors": [
            {"field": "age", "detail": "Please give a whole number.", "pointer": "#/age"},
            {"field": "name", "detail": "That name is <taken>.", "pointer": "#/name"},
        ],
    }
    page = asked(b"name=taken", "text/html").body.decode()
    assert "<dt>name</dt><dd>That name is &lt;taken&gt;.</dd>" in page
    assert "<dt>age</dt><dd>Please fill this in.</dd>" in page
    assert b"\nage: Please fill this in.\nname: That name is <taken>.\n" in asked(b"name=taken", "text/plain").body


def test_a_field_that_must_be_there_is_named() -> None:
    answer = asked(b"other=1", "application/json", "/plain")
    told = json.loads(answer.body)
    assert (answer.status, told["detail"]) == (400, "The form lacks the field 'name'.")
    assert told["errors"] == [{"field": "name", "detail": "This is missing.", "pointer": "#/name"}]


def test_sessions_leave_the_reasons_as_they_are() -> None:
    def handler(request: Request) -> Response:
        request.session["a"] = 1
        raise HTTPError(422, fields={"b": "Wrong."})

    site = Sessions(handler, "a secret of many letters")
    [answer] = Exchange([post(b"", "Accept: application/json")], site).answers("POST")
    assert json.loads(answer.body)["errors"] == [{"field": "b", "detail": "Wrong.", "pointer": "#/b"}]
