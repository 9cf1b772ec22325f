"""Counting what clients try."""

from __future__ import annotations

import os
import signal
import time

import pytest

from httpd import HTTPError
from httpd.passwords import tries
from httpd.passwords.tries import Tries


def test_so_many_tries_and_then_none_until_the_window_ends() -> None:
    counted = Tries(2, 60.0, "Too often.")
    counted.add("a", "one", 0.0)
    counted.add("a", "two", 10.0)
    with pytest.raises(HTTPError, match=r"429 Too Many Requests: Too often\.") as why:
        counted.add("a", "three", 20.5)
    assert why.value.headers == (("Retry-After", "40"),)
    counted.add("b", "one", 20.5)
    counted.add("a", "three", 60.0)


def test_the_same_again_is_no_try() -> None:
    counted = Tries(2, 60.0, "")
    for what in ("one", "one", "two", "one"):
        counted.add("a", what, 0.0)
    with pytest.raises(HTTPError):
        counted.add("a", "three", 0.0)
    counted.add("a", "two", 0.0)


def test_a_try_that_was_none_is_forgiven() -> None:
    counted = Tries(1, 60.0, "")
    counted.add("a", "one", 0.0)
    counted.forgive("a", "one")
    counted.forgive("a", "never tried")
    counted.forgive("stranger", "one")
    counted.add("a", "two", 0.0)
    counted.forgive("a", "one")
    with pytest.raises(HTTPError):
        counted.add("a", "three", 0.0)


def test_few_clients_are_remembered_and_whose_window_ends_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_SETS", 1)
    monkeypatch.setattr(tries, "_ROWS", 2)
    counted = Tries(1, 60.0, "")
    for now, client in enumerate(("a", "b", "c")):
        counted.add(client, "one", now)
    for client in ("b", "c"):
        with pytest.raises(HTTPError):
            counted.add(client, "two", 3.0)
    counted.add("a", "two", 3.0)


def test_thousands_are_remembered() -> None:
    counted = Tries(1, 60.0, "")
    for client in range(2_000):
        counted.add(client, "one", 0.0)
    with pytest.raises(HTTPError):
        counted.add(1_999, "two", 0.0)


@pytest.mark.programs
def test_processes_that_fork_count_together_and_lose_no_try() -> None:
    counted = Tries(1_001, 60.0, "")
    children = []
    for number in range(4):
        if (child := os.fork()) == 0:
            for again in range(250):
                counted.add("a", f"{number} {again}", 0.0)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    counted.add("a", "one more", 0.0)
    with pytest.raises(HTTPError):
        counted.add("a", "one too many", 0.0)


@pytest.mark.programs
def test_a_process_that_is_killed_in_the_midst_of_counting_holds_up_nobody() -> None:
    counted = Tries(1, 60.0, "")
    ready, told = os.pipe()
    if (child := os.fork()) == 0:
        with counted._alone():
            os.write(told, b"!")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    os.kill(child, signal.SIGKILL)
    counted.add("a", "one", 0.0)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(told)
