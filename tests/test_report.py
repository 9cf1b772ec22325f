"""Telling the operator: through `logging`, which is imported only then."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from httpd.net import report
from httpd.net.report import Reporter, configure

from .tools import TOP


def test_a_reporter_stands_for_its_logger(caplog: pytest.LogCaptureFixture) -> None:
    reporter = Reporter("httpd.test")
    with caplog.at_level(logging.INFO):
        reporter.info("all is well")
        try:
            raise KeyError("lost")
        except KeyError:
            reporter.exception("it is not")
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("httpd.test", "INFO"),
        ("httpd.test", "ERROR"),
    ]
    assert "KeyError" in caplog.text


def run(program: str) -> str:
    """What the program printed, on whichever stream."""
    done = subprocess.run([sys.executable, "-c", program], cwd=TOP, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.programs
def test_the_modules_are_imported_without_logging() -> None:
    assert run("import sys, httpd.net.asynchat; print('logging' in sys.modules)") == "False\n"


@pytest.mark.programs
def test_configured_what_is_told_has_time_level_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("from httpd.net.report import *; configure('info'); Reporter('httpd.net').info('hello %s', 'you')")
    assert told.endswith(" INFO httpd.net: hello you\n")
    assert run("from httpd.net.report import *; configure('error'); Reporter('httpd.net').info('hello')") == ""
    calls = []
    monkeypatch.setattr(report, "_level", None)
    monkeypatch.setattr(logging, "basicConfig", lambda **how: calls.append(how["level"]))
    configure("warning")
    Reporter("httpd.test").debug("x")
    assert calls == ["WARNING"]


def test_where_nothing_can_be_imported_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "logging", None)
    Reporter("httpd.test").warning("no descriptor is left: %s", 24, exc_info=True)
