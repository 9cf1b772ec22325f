"""What every test is given."""

from __future__ import annotations

import signal
import socket
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from .tools import in_ci, needs_module

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Two slow cores are shared by the workers: a deadline per example would fail by chance.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if in_ci() else "here")

# A shell's background job ignores the interrupt, and so would every server that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets: the channel's and the test's."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """An empty database on a real server, which the tests of this process share.  Mark the test `tools`."""
    from .postgres import shared

    with shared().database() as url:
        yield url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test printed or logged be sent from worker to master: paths here may hold lone surrogates."""
    report = yield
    report.sections = [(title, _encodable(text)) for title, text in report.sections]
    return report


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of a module.  Mark them `tools`."""
    from .chromium import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A file for --auth, with alice, whose password is "secret"; beside it an empty folder `site`."""
    needs_module("bcrypt")
    import bcrypt

    path = tmp_path / "users"
    path.write_bytes(b"alice:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    (tmp_path / "site").mkdir()
    return path
