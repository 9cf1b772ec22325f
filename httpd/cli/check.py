"""`httpd check`: all that is wrong with the settings, before a server is started with them.

It takes what `httpd` takes, reads what that reads, and says each mistake with its place, not only the first one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..command_parser import CommandParser
from ..config.arguments import FLAGS
from ..config.option import Wrong
from ..config.settings import Settings
from ..config.shown import shown
from ..config.sources import read_sources
from .developing import require_reloading
from .inbox import declared_form, require_hidden
from .reaching import secure
from .seeing import desk_of
from .sending import senders_of, targets_of
from .sites import application, realms_of, require_folder
from .watching import require_trace_folder

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 all is well, 1 something is wrong."""
    options, others = _parser().parse_own(argv, FLAGS)
    try:
        sources = read_sources(others, os.environ)
    except Wrong as wrong:
        print(wrong)
        return 1
    for note in sources.notes:
        print(f"httpd check: {note}", file=sys.stderr)
    if options.print:
        print(shown(sources.settings), end="")
    faults = [*sources.wrong, *_faults(sources.settings, options.imports)]
    for fault in faults:
        # What is printed of the settings may be kept as a file.
        print(fault, file=sys.stderr if options.print else sys.stdout)
    if not faults and not options.print:
        print(f"httpd check: {sources.file} is right" if sources.file else "httpd check: the settings are right")
    return 1 if faults else 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="httpd check",
        usage="httpd check [--import] [--print] [OPTIONS] [DIR]",
        description="Check httpd.toml, the environment and the options that httpd would be started with. Each mistake "
        "is a line, in a file FILE:LINE:COLUMN: SENTENCE. The exit status is 0 where there is none, else 1.",
        epilog="All other options are those of httpd.",
    )
    parser.add_argument("--import", dest="imports", action="store_true", help="import the application, too")
    parser.add_argument(
        "--print", action="store_true", help="show all settings as httpd.toml has them, and where each comes from"
    )
    return parser


def _faults(settings: Settings, imports: bool) -> Iterator[Wrong]:
    """What the settings name and is not as it has to be."""
    for check in _checks(settings, imports):
        try:
            check()
        except Wrong as wrong:
            yield wrong


def _checks(settings: Settings, imports: bool) -> Iterator[Callable[[], object]]:
    for name, at in settings.placed_folders():
        yield partial(require_folder, name, at)
    # A certificate of our own is made when it is needed.
    if settings.tls_cert:
        yield partial(secure, settings, _quietly)
    if settings.auth:
        yield partial(realms_of, settings)
    for path in dict(settings.form):
        yield partial(declared_form, settings, path)
    yield partial(_require_senders, settings)
    if settings.form or settings.inbox_page:
        yield partial(require_hidden, settings)
    if settings.user:
        from .working import account_of

        yield partial(account_of, settings)
    yield partial(desk_of, settings)
    if settings.reload:
        yield require_reloading
    yield partial(require_trace_folder, settings)
    yield partial(_require_log, settings)
    if imports and settings.program():
        yield partial(application, settings)


def _quietly(sentence: str) -> None:
    """Tell nobody."""


def _require_senders(settings: Settings) -> None:
    declared = []
    for path in dict(settings.form):
        # What is wrong with a form itself is told as that.
        with contextlib.suppress(Wrong):
            declared.append(declared_form(settings, path))
    targets = targets_of(settings, declared)
    if settings.form or settings.inbox_page:
        senders_of(settings, targets)


def _require_log(settings: Settings) -> None:
    log = settings.access_log
    if log not in ("-", "off") and not os.access(log if os.path.exists(log) else os.path.dirname(log) or ".", os.W_OK):
        raise Wrong(f"cannot write the access log {log}", settings.origin(Settings.access_log))
