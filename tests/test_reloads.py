"""No request is lost while the server is reloaded and its workers replaced: `tests/reloads.py`, a few rounds of it."""

from __future__ import annotations

from .reloads import reloads


def test_reloads_lose_no_request() -> None:
    *_, last = reloads(6)
    assert last.endswith(" answered, 0 failed, 0 reset")
    # On a busy machine one may be past before it is seen.
    assert " 1 generations seen" not in last


def test_a_rolling_restart_loses_no_request() -> None:
    *_, last = reloads(3, restart=True)
    assert last.endswith(" answered, 0 failed, 0 reset")
