"""The soak of `tests/benchmark`, for half a minute: that it runs, and finds nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .kernel import needs_proc
from .tools import TOP


@pytest.mark.slow
def test_half_a_minute_of_good_slow_and_hostile_clients() -> None:
    """How long the good ones wait says nothing in so short a time; what they miss, and what leaks, does."""
    needs_proc()
    command = [sys.executable, "-m", "tests.benchmark.soak", "--minutes", "0.4", "--slow", "200"]
    run = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=200)
    lines = run.stdout.splitlines()
    assert [line for line in lines if line.startswith("FAULT") and "p99" not in line] == []
    assert lines[-1].startswith("the soak "), run.stderr
    for crowd in ("good", "slow", "hostile", "changing"):
        assert any(line.startswith(f"{crowd}: ") for line in lines), run.stdout
