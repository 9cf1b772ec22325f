"""Settings for several processes: the parent's plan of each generation, and what a worker makes of it."""

from __future__ import annotations

import copy
import importlib
import math
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config.agreement import for_one_process
from ..config.option import Wrong
from ..config.settings import Settings
from ..config.sources import read_sources
from ..processes.notify import Notifier, passed_sockets
from ..processes.parent import Parent, WorkPlan
from ..processes.privileges import Account, account
from ..processes.sockets import Held, Places, hold, keep
from ..processes.supervisor import PlanError
from ..processes.worker import CannotServe
from ..server.limits import read_limits
from ..server.server import Server
from .building import build
from .reaching import Secure, not_bound, secure
from .seeing import desk_of, listen_for, name_answers, show_desk

if TYPE_CHECKING:
    from ..passwords.tries import Tries
    from ..seeing.places import Desk

__all__ = ["run"]

# Where a container is told how much of the processors it has: "200000 100000" are two, "max" is all.
_QUOTA = "/sys/fs/cgroup/cpu.max"


def run(argv: Sequence[str], tell: Callable[[str], None]) -> int:
    """Serve as a parent with its workers; the exit status.  Raises Wrong for what a person gave."""
    try:
        passed = passed_sockets(os.environ)
    except ValueError as why:
        raise Wrong(str(why)) from None
    return Parent(_Plans(argv, passed).make, tell, Notifier(os.environ)).run()


class _Plans:
    """Reads the settings anew for every generation."""

    def __init__(self, argv: Sequence[str], passed: Sequence[socket.socket]) -> None:
        self._argv = argv
        self._passed = Held(Places((), 0), list(passed), 0) if passed else None
        self._names = [sock.getsockname() for sock in passed]
        self._desk: Desk | None = None
        self._desk_at: tuple[object, object] = (None, None)
        self._tries: Tries | None = None

    def make(self, before: Held | None) -> WorkPlan:
        """The next generation's plan.  Raises PlanError."""
        try:
            settings = self._settings()
            user = account_of(settings)
            held = self._passed and (keep(before) if before else self._passed)
            # As who the parent is, and once: so all workers have one certificate, and resume each other's sessions.
            told: list[str] = []
            speaks = secure(settings, told.append)
            held = held or _held(settings, user, before)
            desk, tries = self._desk_for(settings), self._tries_for(settings)
            serve = partial(_serve, _passing_at(settings, held), user, desk, speaks, tries, told)
        except Wrong as why:
            raise PlanError(str(why)) from None
        limits = read_limits(settings.limit)
        workers = _processors() if settings.workers < 0 else max(1, settings.workers)
        return WorkPlan(workers, held, serve, limits.drain_time, limits.hang_time)

    def _desk_for(self, settings: Settings) -> Desk | None:
        """The operator's pages: the same as before, as long as they stay where they are."""
        places = settings.status, settings.metrics
        if places != self._desk_at:
            desk = desk_of(settings, self._desk)
            if desk:
                listen_for(desk, settings)
            self._desk, self._desk_at = desk, places
        return self._desk

    def _tries_for(self, settings: Settings) -> Tries | None:
        """What counts wrong passwords for all workers, of each generation; they share it as it is made here."""
        if settings.auth and self._tries is None:
            from ..passwords.tries import wrong_passwords

            self._tries = wrong_passwords()
        return self._tries

    def _settings(self) -> Settings:
        settings = read_sources(self._argv, os.environ).checked()
        for wrong in for_one_process(settings):
            raise wrong
        return _at(settings, self._names) if self._passed else settings


def account_of(settings: Settings) -> Account | None:
    """Who the workers are to be; None: who the parent is."""
    if not settings.user:
        return None
    told = settings.named(Settings.user)
    try:
        user = account(settings.user)
    except ValueError as why:
        raise Wrong(f"{told}: {why}", settings.origin(Settings.user)) from None
    if os.geteuid() not in (0, user.uid):
        raise Wrong(f"{told}: only root can become {user.name}; leave it out", settings.origin(Settings.user))
    return user if os.geteuid() == 0 else None


def _at(settings: Settings, names: Sequence[Any]) -> Settings:
    """The settings as they are at sockets that were handed over: these are all addresses that count."""
    values = {name: value for name, value in settings.values.items() if name not in ("bind", "port", "unix")}
    addresses = [name for name in names if isinstance(name, tuple) and name[1] != settings.redirect_from]
    if addresses:
        values |= {"bind": tuple(address[0] for address in addresses), "port": addresses[0][1]}
    if paths := [name for name in names if not isinstance(name, tuple)]:
        values["unix"] = os.fsdecode(paths[0])
    return _changed(settings, values)


def _passing_at(settings: Settings, held: Held) -> Settings:
    """The settings, with the port that leads to TLS as it really is."""
    return settings if held.passing is None else _changed(settings, {**settings.values, "redirect_from": held.passing})


def _changed(settings: Settings, values: dict[str, Any]) -> Settings:
    changed = copy.copy(settings)
    changed.values = values
    return changed


def _held(settings: Settings, user: Account | None, before: Held | None) -> Held:
    owner = (user.uid, user.gid) if user else None
    passing = settings.redirect_from
    places = Places(settings.addresses, settings.port, passing, settings.unix, settings.unix_mode, owner)
    try:
        return hold(places, before)
    except OSError as why:
        raise not_bound(why, settings) from None


def _serve(
    settings: Settings,
    user: Account | None,
    desk: Desk | None,
    speaks: Secure | None,
    tries: Tries | None,
    told: Iterable[str],
    listening: Iterable[socket.socket],
    tell: Callable[[str], None],
) -> Server:
    """In a worker: its server, which listens, with all that is not read yet read as whom the worker becomes.

    `told` are sentences for the operator from before the fork.  Raises CannotServe.
    """
    # What was looked for in a folder before may be there now.
    importlib.invalidate_caches()
    for sentence in told:
        tell(sentence)
    try:
        if user:
            _become(user)
        server = build(settings, tell, desk, speaks, tries)
    except Wrong as why:
        raise CannotServe(f"{why} (as {user.name})" if user else str(why)) from None
    server.start(listening)
    show_desk(server, desk, settings, tell)
    name_answers(server, settings)
    return server


def _become(user: Account) -> None:
    try:
        user.become()
    except (OSError, RuntimeError) as why:
        raise CannotServe(f"cannot become {user.name}: {why}") from None


def _processors() -> int:
    """How many processors this process may use."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota()))


def _quota() -> int:
    try:
        with open(_QUOTA, encoding="ascii") as file:
            most, period = file.read().split()
        return math.ceil(int(most) / int(period))
    except (OSError, ValueError):
        return 1_024
