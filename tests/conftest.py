"""What every test is given."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from .exchange import judge_all
from .recorded import set_up
from .tools import in_ci, needs_module

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Two slow cores are shared by the workers: a deadline per example would fail by chance.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("ci" if in_ci() else "here")

# A shell's background job ignores the interrupt, what nohup starts the hang-up, and so would every server started here.
for _sign, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_sign) is signal.SIG_IGN:
        signal.signal(_sign, _usual)

# Containers often forbid it; then each worker would rewrite all tests, and each program that they start compile ours.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _judged(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test h11 reads what its exchanges have sent; `cut` is for one in which the client leaves too early."""
    yield
    judge_all(whole="cut" not in request.keywords)


# What --quick leaves out, and what tells that a mark is missing.
_LEFT_OUT = ("slow", "tools", "programs")
_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")
# How many rows of a test's table --quick takes, evenly from all of it.
_ROWS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick` is for who is at work: the suite itself leaves nothing out."""
    parser.addoption("--quick", action="store_true", help="a sample of each table, nothing slow, no program")


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis makes fewer examples where it is quick."""
    if config.getoption("--quick"):
        settings.load_profile("quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is slow comes first, for in the end it would go on alone; and what --quick leaves out."""
    if not config.getoption("--quick"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
        return
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not any(map(item.get_closest_marker, _LEFT_OUT)):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    taken = {row for rows in tests.values() for row in rows[:: -(-len(rows) // _ROWS)]}
    config.hook.pytest_deselected(items=[item for item in items if item not in taken])
    items[:] = [item for item in items if item in taken]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where a test's client is a real one, what its servers do is recorded."""
    set_up(item)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that is imported or collected is garbage."""
    gc.disable()
    collected = yield
    _keep()
    gc.enable()
    return collected


@pytest.fixture(scope="module", autouse=True)
def _kept() -> Iterator[None]:
    """After each module only what outlives it is left: caches, and what pytest keeps of every test."""
    yield
    _keep()


def _keep() -> None:
    """What is there now stays until the end, so no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish(session: pytest.Session) -> None:
    """From here on there are only tests."""
    if session.config.getoption("--quick"):
        sys.addaudithook(_start_nothing)


def _start_nothing(event: str, arguments: object) -> None:
    if event in _STARTS:
        pytest.fail("it starts a program, so mark it: @pytest.mark.programs")


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
