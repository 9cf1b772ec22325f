"""Counting what clients try."""

from __future__ import annotations

import pytest

from httpd import HTTPError
from httpd.site import tries
from httpd.site.tries import Tries


def test_so_many_tries_and_then_none_until_the_window_ends() -> None:
    counted = Tries(2, 60.0, "Too often.")
    for now in (0.0, 10.0):
        counted.add("a", now)
    with pytest.raises(HTTPError, match=r"429 Too Many Requests: Too often\.") as why:
        counted.add("a", 20.5)
    assert why.value.headers == (("Retry-After", "40"),)
    counted.add("b", 20.5)
    counted.add("a", 60.0)


def test_a_try_that_was_none_is_forgiven() -> None:
    counted = Tries(1, 60.0, "")
    counted.add("a", 0.0)
    counted.forgive("a")
    counted.forgive("stranger")
    counted.add("a", 0.0)


def test_few_clients_are_remembered_and_those_that_come_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_MOST_CLIENTS", 2)
    counted = Tries(2, 60.0, "")
    for client in ("a", "b", "a", "c"):
        counted.add(client, 0.0)
    with pytest.raises(HTTPError):
        counted.add("a", 0.0)
    for _ in range(2):
        counted.add("b", 0.0)
