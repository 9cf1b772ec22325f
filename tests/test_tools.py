"""The helpers of the tests, where a mistake would hide a failure."""

from __future__ import annotations

import sys

import pytest

from . import tools
from .interpreters import interpreters


def test_a_program_that_is_there() -> None:
    assert tools.needs("sh").endswith("/sh")


def test_a_missing_program_skips_on_a_readers_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing"):
        tools.needs("no-such-program")


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        tools.needs("no-such-program")


def test_a_missing_package_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no_such_package is missing"):
        tools.needs_module("no_such_package")


@pytest.mark.programs
def test_interpreters_are_started_before_they_are_believed() -> None:
    mine = "{}.{}".format(*sys.version_info)
    found = interpreters(mine, "3.99")
    assert all(release.startswith(f"{mine}.") for release in found)
