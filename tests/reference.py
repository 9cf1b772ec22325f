"""Our asyncore and asynchat, and those of Python 3.11: one test that is run against either.

`test_mends` has what must fail on the modules that left the standard library, `test_contract` what must be the same.
A test gets its modules by `modules()`; `on_the_modules_of_3_11` runs a whole file once more, in an interpreter that
still has them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import time
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .interpreters import interpreters
from .tools import TOP, missing

__all__ = ["chat", "modules", "on_the_modules_of_3_11", "opened", "pair_of_sockets", "run"]

# Set in the run against the modules that Python 3.11 ships.
_REFERENCE = "STANDARD_MODULES"

# How a report says what became of a test.  An error is none of the test's own: it could not be run.
_KINDS = {"skipped": "skipped", "failed": "failure", "in error": "error"}

# Closed after each test, however it ends.
_opened: list[Any] = []


@contextlib.contextmanager
def modules() -> Iterator[Any]:
    """The modules under test, as `.asyncore` and `.asynchat`, ours with what stands beside them; in the end, what the
    test opened is closed."""
    package, beside = ("", []) if _REFERENCE in os.environ else ("httpd.net.", ["limited", "tls"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pair = {name: importlib.import_module(package + name) for name in ["asyncore", "asynchat", *beside]}
    yield SimpleNamespace(**pair)
    pair["asyncore"].close_all(ignore_all=True)
    while _opened:
        with contextlib.suppress(OSError):
            _opened.pop().close()


def on_the_modules_of_3_11(file: str, chosen: str, folder: Path) -> dict[str, str]:
    """Run the tests of a file that -k `chosen` selects: name -> "passed", "failed", "skipped" or "in error"."""
    python = sys.executable if sys.version_info[:2] == (3, 11) else next(iter(interpreters("3.11").values()), None)
    report = folder / "report.xml"
    # Not this run's configuration, nor plugins, which may be made for another interpreter.
    plain = ["-c", os.devnull, "--rootdir", str(TOP), "--noconftest", "-p", "no:cacheprovider", "-W", "ignore"]
    found = subprocess.run(
        [python or missing("a Python 3.11"), "-m", "pytest", "-q", f"--junitxml={report}", *plain, "-k", chosen, file],
        env={
            **os.environ,
            _REFERENCE: "1",
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(TOP), str(Path(pytest.__file__).parent.parent)]),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert report.exists(), found.stdout + found.stderr
    return {str(case.get("name")): _outcome(case) for case in ET.parse(report).iter("testcase")}


def _outcome(case: ET.Element) -> str:
    return next((kind for kind, tag in _KINDS.items() if case.find(tag) is not None), "passed")


# ---- what such tests are made of


def opened(*sockets: Any) -> Any:
    """The same, to be closed after the test."""
    _opened.extend(sockets)
    return sockets


def pair_of_sockets() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    return opened(*socket.socketpair())  # type: ignore[no-any-return]


def chat(net: Any, **more: Any) -> Any:
    """A class of async_chat that keeps what it hears: `.lines`, `.heard` (pieces), `.closes`."""

    class Chat(net.asynchat.async_chat):  # type: ignore[misc]
        def __init__(self, sock: Any = None, channels: Any = None) -> None:
            super().__init__(sock, channels)
            self.set_terminator(b"\r\n")
            self.lines: list[bytes] = []
            self.heard: list[bytes] = []
            self.closes = 0

        def collect_incoming_data(self, data: bytes) -> None:
            self.heard.append(data)

        def found_terminator(self) -> None:
            self.lines.append(b"".join(self.heard))
            self.heard = []

        def handle_close(self) -> None:
            self.closes += 1
            self.close()

    for name, value in more.items():
        setattr(Chat, name, value)
    return Chat


def run(net: Any, channels: Any, until: Callable[[], bool], patience: float = 5.0, **how: Any) -> None:
    """Let the loop serve the map until the condition holds; fail after `patience` seconds."""
    end = time.monotonic() + patience
    while not until():
        assert time.monotonic() < end, "the loop did not get there"
        net.asyncore.loop(timeout=0.05, map=channels, count=1, **how)
