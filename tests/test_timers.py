"""Timers: made in any order, run in order of time, cancelled at no cost; the test moves the clock."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.net.timers import ExitNow, Timers


class Clock:
    """Time that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Timers, Clock, list[Any]]:
    """(timers, their clock, what the calls of the test append to)"""
    clock = Clock()
    return Timers(clock), clock, []


def advance(timers: Timers, clock: Clock, seconds: float) -> None:
    """A turn that begins so much later."""
    clock.now += seconds
    timers.tick()
    timers.run_due()


def test_a_call_is_made_once_when_its_time_has_come() -> None:
    timers, clock, calls = made()
    timer = timers.call_later(5, calls.append, "now")
    assert timer.when == 1005
    assert timer.pending
    advance(timers, clock, 4.999)
    assert calls == []
    advance(timers, clock, 0.001)
    assert calls == ["now"]
    assert not timer.pending
    advance(timers, clock, 100)
    assert calls == ["now"]
    assert len(timers) == 0


@given(st.lists(st.integers(0, 50), max_size=30))
def test_calls_are_made_in_the_order_of_their_times_then_of_their_making(delays: list[int]) -> None:
    timers, clock, calls = made()
    for number, delay in enumerate(delays):
        timers.call_later(delay, calls.append, (delay, number))
    assert len(timers) == len(delays)
    advance(timers, clock, 50)
    assert calls == sorted((delay, number) for number, delay in enumerate(delays))


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=300), st.integers(1, 5))
def test_what_is_cancelled_is_never_called(plan: list[tuple[int, bool]], step: int) -> None:
    timers, clock, calls = made()
    pending = [(timers.call_later(delay, calls.append, number), cancel) for number, (delay, cancel) in enumerate(plan)]
    for timer, cancel in pending:
        if cancel:
            timer.cancel()
            timer.cancel()
    kept = [number for number, (_, cancel) in enumerate(plan) if not cancel]
    assert len(timers) == len(kept)
    for _ in range(20 // step + 1):
        advance(timers, clock, step)
    assert sorted(calls) == kept
    assert len(timers) == 0
    assert timers.patience(None) is None


def test_cancelling_too_late_does_nothing() -> None:
    timers, clock, calls = made()
    timer = timers.call_later(1, calls.append, 1)
    advance(timers, clock, 1)
    timer.cancel()
    assert calls == [1]
    assert len(timers) == 0


def test_a_crowd_of_cancelled_timers_is_not_kept() -> None:
    timers, _, _ = made()
    for _ in range(10_000):
        timers.call_later(3600, print).cancel()
    assert len(timers._heap) <= 130


def test_a_timer_may_make_and_cancel_others() -> None:
    timers, clock, calls = made()
    victim = timers.call_later(2, calls.append, "victim")

    def first() -> None:
        calls.append("first")
        victim.cancel()
        timers.call_later(0, calls.append, "at once")
        timers.call_later(5, calls.append, "later")

    timers.call_later(1, first)
    advance(timers, clock, 3)
    assert calls == ["first"]
    assert timers.patience(30) == 0
    advance(timers, clock, 0)
    assert calls == ["first", "at once"]
    advance(timers, clock, 5)
    assert calls == ["first", "at once", "later"]


@pytest.mark.parametrize("delay", [0, -1])
def test_a_timer_that_renews_itself_runs_once_a_turn(delay: float) -> None:
    timers, clock, calls = made()

    def renews() -> None:
        calls.append("renewed")
        timers.call_later(delay, renews)

    timers.call_later(1, renews)
    timers.call_later(1, calls.append, "other")
    advance(timers, clock, 1)
    assert calls == ["renewed", "other"]
    advance(timers, clock, 0)
    assert calls == ["renewed", "other", "renewed"]


def test_patience_is_the_shorter_of_the_two() -> None:
    timers, clock, calls = made()
    assert timers.patience(None) is None
    assert timers.patience(30) == 30
    timers.call_later(5, calls.append, 1)
    assert timers.patience(None) == 5
    assert timers.patience(30) == 5
    assert timers.patience(2) == 2
    clock.now += 7
    assert timers.patience(30) == 0
    timers.call_soon(calls.append, 2)
    assert timers.patience(None) == 0


def test_soon_is_the_end_of_this_turn_and_what_it_asks_for_that_of_the_next() -> None:
    timers, clock, calls = made()

    def again() -> None:
        calls.append("again")
        timers.call_soon(again)

    timers.call_soon(again)
    assert len(timers) == 1
    advance(timers, clock, 0)
    assert calls == ["again"]
    advance(timers, clock, 0)
    assert calls == ["again", "again"]


def test_a_call_that_fails_is_logged_and_the_others_are_made(caplog: pytest.LogCaptureFixture) -> None:
    timers, clock, calls = made()
    timers.call_later(1, lambda: 1 / 0)
    timers.call_later(2, calls.append, "after")
    timers.call_soon(lambda: iter(5))  # type: ignore[call-overload]
    with caplog.at_level(logging.ERROR):
        advance(timers, clock, 3)
    assert calls == ["after"]
    assert "ZeroDivisionError" in caplog.text
    assert "TypeError" in caplog.text


@pytest.mark.parametrize("leave", [ExitNow, KeyboardInterrupt, SystemExit])
def test_leaving_the_loop_gets_through_and_loses_no_timer(leave: type[BaseException]) -> None:
    timers, clock, calls = made()

    def leaves() -> None:
        raise leave

    timers.call_later(1, leaves)
    timers.call_later(2, calls.append, "after")
    timers.call_soon(calls.append, "soon")
    with pytest.raises(leave):
        advance(timers, clock, 3)
    advance(timers, clock, 0)
    assert sorted(calls) == ["after", "soon"]


def test_leaving_from_a_call_made_soon_keeps_the_other_calls() -> None:
    timers, clock, calls = made()

    def leaves() -> None:
        raise ExitNow

    timers.call_soon(leaves)
    timers.call_soon(calls.append, "after")
    with pytest.raises(ExitNow):
        advance(timers, clock, 0)
    advance(timers, clock, 0)
    assert calls == ["after"]
