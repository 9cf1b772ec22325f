"""What can be wrong, as values."""

from __future__ import annotations

import pytest

from httpd.protocol.errors import HTTPError, Refusal, reason_phrase


def test_reason_phrases() -> None:
    assert reason_phrase(404) == "Not Found"
    assert reason_phrase(416) == "Range Not Satisfiable"
    assert reason_phrase(299) == "Unknown"


def test_a_refusal_can_be_counted_from_elsewhere() -> None:
    refusal = Refusal(400, "Because.", "RFC 9112 §5", 7, 2)
    assert refusal.moved(3) == Refusal(400, "Because.", "RFC 9112 §5", 10, 2)
    assert refusal.moved(0) == refusal


def test_a_refusal_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Refusal(400, "", "", 0, 0).start = 1  # type: ignore[misc]


def test_an_error_says_its_status_and_why() -> None:
    assert str(HTTPError(404)) == "404 Not Found"
    error = HTTPError(405, "Only GET.", [("Allow", "GET")])
    assert str(error) == "405 Method Not Allowed: Only GET."
    assert error.headers == (("Allow", "GET"),)
