"""The command line: `httpd [DIR]`.

What is written becomes `Settings` (`httpd/config/`), settings become a server (`building`), and the server runs.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..config.arguments import Asked
from ..config.option import Wrong
from ..config.settings import Settings
from ..config.sources import read_sources
from ..net.report import Reporter, configure, tell
from .building import build
from .commands import COMMANDS
from .developing import developing
from .reaching import start
from .seeing import desk_of, name_answers, show_desk
from .watching import record, show_console

__all__ = ["main"]

logger = Reporter("httpd.cli")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 stopped, 1 could not start, 130 interrupted before.

    Raises SystemExit: 2 for options or settings that are not understood, 0 when it was only asked to tell something.
    """
    argv = sys.argv[1:] if argv is None else argv
    _fill_standard_streams()
    try:
        if argv and argv[0] in COMMANDS:
            command = importlib.import_module(COMMANDS[argv[0]][0], __package__)
            return command.main(argv[1:])  # type: ignore[no-any-return]
        return _run(argv)
    except Asked as asked:
        _answer(asked)
    except Wrong as wrong:
        if wrong.status == 2:
            _leave(wrong)
        tell(str(wrong))
        if wrong.__cause__ is not None:
            logger.debug("this is why", exc_info=wrong.__cause__)
        return 1
    except ModuleNotFoundError as missing:
        return _lack(missing)
    except KeyboardInterrupt:
        # As a shell counts it: 128 and the signal's number.
        return 130


def _fill_standard_streams() -> None:
    """Let no socket or file of ours have the number of a standard stream that is closed: what is written to it by C, or
    by a program that we start, would go there.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)


def _lack(missing: ModuleNotFoundError) -> int:
    """Say which room of the house was left out; the exit status.  Raises what is none of them."""
    house, _, room = (missing.name or "").partition(".")
    if house != __name__.partition(".")[0]:
        raise missing
    tell(f"this needs {house}.{room.partition('.')[0]}, which is not part of this installation")
    logger.debug("this is why", exc_info=missing)
    return 1


def _leave(wrong: Wrong) -> NoReturn:
    """End as programs do that are called in a way they do not understand."""
    tell(f"error: {wrong}")
    raise SystemExit(2)


def _answer(asked: Asked) -> NoReturn:
    """Tell what was asked for, and end."""
    if asked.what == "--version":
        print(f"httpd {__version__}")
        raise SystemExit(0)
    from . import help as helping

    try:
        print(helping.limits() if asked.what == "--limits" else helping.explain(asked.word))
    except Wrong as wrong:
        _leave(wrong)
    raise SystemExit(0)


def _run(argv: Sequence[str]) -> int:
    sources = read_sources(argv, os.environ)
    settings = sources.checked()
    for note in sources.notes:
        tell(note)
    if sources.file and not settings.is_given(Settings.config):
        tell(f"settings are read from {sources.file}")
    configure(settings.log_level)
    # A service manager counts on being told, and on reloads, so there it is a parent that runs.
    if settings.workers or settings.user or "NOTIFY_SOCKET" in os.environ or "LISTEN_FDS" in os.environ:
        from .working import run

        return run(argv, tell)
    desk = desk_of(settings)
    with contextlib.closing(build(settings, tell, desk)) as server:
        tracing = record(server, settings)
        start(server, settings)
        show_console(server, tracing, settings, tell)
        show_desk(server, desk, settings, tell)
        if settings.form:
            server.timers.call_soon(lambda: tell("what comes in by the forms is shown by httpd forms list"))
        name_answers(server, settings)
        with developing(server, settings):
            server.run()
    return 0
