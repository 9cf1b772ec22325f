"""`httpd unit`: systemd's units for a server with these options."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..command_parser import CommandParser
from ..config.arguments import FLAGS, read_arguments
from ..config.environment import SECRETS, read_environment
from ..config.option import Option, Switch, Written, Wrong
from ..config.settings import Settings
from ..config.sources import read_sources
from ..net.addresses import where_to_bind
from ..processes.unit import Service, Sockets, service_unit, socket_unit
from ..server.limits import read_limits
from .sites import current_folder

__all__ = ["main"]

# What the units say themselves.
_SAID = (Settings.bind, Settings.port, Settings.unix, Settings.unix_mode, Settings.user)
_KEYS = (Settings.tls_cert, Settings.tls_key)
_SQLITE = "sqlite:"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 printed, 1 there can be no such server, 2 it is not understood."""
    options, others = _parser().parse_own(argv, FLAGS)
    try:
        settings = read_sources(others, os.environ).checked()
        written = _carried_over(read_environment(os.environ), read_arguments(others))
        units = _socket(options.name, settings), _service(options.name, settings, written)
    except Wrong as wrong:
        print(f"httpd unit: {wrong}", file=sys.stderr)
        return wrong.status
    print(units[0] if options.socket else units[1], end="")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="httpd unit",
        usage="httpd unit [--socket] [--name NAME] [OPTIONS] [DIR]",
        description="Print systemd's service unit for a server with these options, run from the current folder; with "
        "--socket the socket unit that belongs to it.",
        epilog="All other options are those of httpd.",
    )
    parser.add_argument("--socket", action="store_true", help="print the socket unit")
    parser.add_argument("--name", type=_unit_name, default="httpd", help="what to call them: NAME.service")
    return parser


def _unit_name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]+", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no name for a unit: letters, digits, and any of _.-")


# ---- the socket


def _socket(name: str, settings: Settings) -> str:
    ports = [settings.port, *([] if settings.redirect_from is None else [settings.redirect_from])]
    if settings.addresses and 0 in ports:
        raise Wrong("port 0 is another at every start; name one, with --port")
    addresses = [(*where, port) for port in ports for where in _places(settings)]
    unix = settings.unix and os.path.abspath(settings.unix)
    return socket_unit(Sockets(name, addresses, unix, settings.unix_mode, settings.user))


def _places(settings: Settings) -> Iterator[tuple[int, str]]:
    """The family and address of each place once, none of a family of which all are there."""
    found: dict[tuple[int, str], None] = {}
    for host in settings.addresses:
        try:
            found.update({(int(family), address[0]): None for family, address in where_to_bind(host)})
        except OSError as why:
            raise Wrong(f"{host}: {why.strerror or why}", settings.origin(Settings.bind)) from None
    for family, address in found:
        if address in ("0.0.0.0", "::") or (family, {2: "0.0.0.0"}.get(family, "::")) not in found:
            yield family, address


# ---- the service


def _service(name: str, settings: Settings, written: Sequence[Written]) -> str:
    credentials = dict(_credentials(settings))
    command = [sys.executable, "-m", "httpd", *_words(written), *_key_words(settings, credentials)]
    if not settings.workers:
        command.append("--workers=auto")
    writes = sorted(_written_outside(settings))
    if _keeps_inbox(settings) and not settings.is_given(Settings.inbox):
        command.append(f"--inbox={_SQLITE}/var/lib/{name}/inbox.db")
    if writes and not settings.user:
        raise Wrong(f"{writes[0]} is to be written, and the unit's own user may not; name one who may, with --user")
    folder = current_folder()
    limits = read_limits(settings.limit)
    return service_unit(
        Service(
            name=name,
            command=command,
            folder=folder,
            user=settings.user,
            credentials=credentials,
            secrets=_secrets(),
            writes=writes,
            sees_home=any(_at_home(path) for path in (folder, sys.prefix, __file__, *settings.folders)),
            stop_time=limits.drain_time + 10,
        )
    )


def _carried_over(environ: Sequence[Written], arguments: Sequence[Written]) -> list[Written]:
    """What the command line sets, and before it what variables do of this shell, which the service will not see."""
    set_anew = {written.option for written in arguments if not written.option.kept}
    weaker = (written for written in environ if written.option not in set_anew and not _has_password(written))
    return [*weaker, *arguments]


def _has_password(written: Written) -> bool:
    return written.option is Settings.inbox and bool(urlsplit(written.text).password)


def _secrets() -> list[str]:
    """The variables of this shell that must not stand in the unit, which everybody may read."""
    inbox = [written.option.variable for written in read_environment(os.environ) if _has_password(written)]
    return [*inbox, *(name for name in SECRETS if os.environ.get(name))]


def _words(written: Sequence[Written]) -> Iterator[str]:
    """The options as words, without those that the units say."""
    for option, text, _ in written:
        if option not in _SAID and option not in _KEYS:
            yield text if option is Settings.dir else _word(option, text)


def _word(option: Option[Any], text: str) -> str:
    if isinstance(option, Switch):
        is_on = option.read(text)
        return next(flag for flag, stands_for in option.flags.items() if option.read(stands_for or "") is is_on)
    return f"{option.flag}={text}"


def _credentials(settings: Settings) -> Iterator[tuple[str, str]]:
    """What root reads for the service: (name, path)."""
    for option in _KEYS:
        for number, path in enumerate(getattr(settings, option.name)):
            yield f"{option.name}{number}", os.path.abspath(path)


def _key_words(settings: Settings, credentials: dict[str, str]) -> Iterator[str]:
    for option in _KEYS:
        yield from (f"{option.flag}=%d/{name}" for name in credentials if name.startswith(option.name))


def _keeps_inbox(settings: Settings) -> bool:
    return bool(settings.form or settings.inbox_page)


def _written_outside(settings: Settings) -> Iterator[str]:
    """The folders that the service writes besides its own."""
    if settings.access_log not in ("-", "off"):
        yield os.path.dirname(os.path.abspath(settings.access_log))
    if settings.is_given(Settings.inbox) and _keeps_inbox(settings) and settings.inbox.startswith(_SQLITE):
        yield os.path.dirname(os.path.abspath(settings.inbox.removeprefix(_SQLITE)))


def _at_home(path: str) -> bool:
    return os.path.realpath(path).startswith(("/home/", "/root/", "/run/user/")) or os.path.realpath(path) == "/root"
