"""No request is lost while the server is reloaded and its workers replaced: `tests/reloads.py`, some rounds of it."""

from __future__ import annotations

from typing import Any

import pytest

from . import reloads as reloads_module
from .reloads import reloads
from .tools import needs, needs_module

ALL_WELL = " answered, 0 failed, 0 reset"


@pytest.mark.programs
def test_reloads_lose_no_request() -> None:
    *_, last = reloads(6)
    assert last.endswith(ALL_WELL)
    # On a busy machine one may be past before it is seen.
    assert " 1 generations seen" not in last


@pytest.mark.programs
def test_a_rolling_restart_loses_no_request() -> None:
    *_, last = reloads(3, restart=True)
    assert last.endswith(ALL_WELL)


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "how"), [(100, {}), (10, {"restart": True}), (10, {"tls": True})], ids=["reloads", "restarts", "TLS"]
)
def test_wrk_loses_no_request_either(rounds: int, how: dict[str, Any]) -> None:
    needs("wrk")
    if how.get("tls"):
        needs_module("cryptography")
    *told, last = reloads(rounds, wrk=True, **how)
    print(last)
    assert last.endswith(ALL_WELL), told
    [wrk] = [line for line in told if line.startswith("wrk: ")]
    assert wrk.endswith(" requests, no error of any kind")


def test_what_wrk_says_went_wrong_is_counted() -> None:
    class Ended:
        def send_signal(self, number: int) -> None: ...

        def communicate(self, timeout: float) -> tuple[str, None]:
            return SAID, None

    told, counts = reloads_module._wrk_said(Ended())  # type: ignore[arg-type]
    assert told == "62 requests, Socket errors: connect 1, read 2, write 0, timeout 10; Non-2xx or 3xx responses: 300"
    assert counts == {"ok": 62, "failed": 313}


SAID = """\
Running 10m test @ http://127.0.0.1:8000/
  1 threads and 16 connections
  62 requests in 1.05s, 9.12KB read
  Socket errors: connect 1, read 2, write 0, timeout 10
  Non-2xx or 3xx responses: 300
Requests/sec:     59.05
"""
