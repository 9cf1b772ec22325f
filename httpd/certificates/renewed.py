"""Certificates in files that are renewed while the server runs, and the choice between several.

Nobody has to tell the server.  Before a handshake, at most once a second, it looks whether the files are others than
those that it has read.  A connection takes the context that there is when it begins, so that those under way go on with
what they began with.

Files change one after the other, and a little at a time: a key whose certificate is still to come, a chain of which
half is written.  So nothing is read that was changed less than a second ago, nor taken if it has changed while it was
read, and a certificate is taken with its own key or not at all.  Where the new ones are no good, the old ones stay, and
the reason is told once.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..net.report import Reporter
from .contexts import CertificateError, from_files, read_pem
from .names import first_of, names_in, times_in

__all__ = ["Certificates"]

logger = Reporter("httpd.certificates")

# How often the files are looked at, and how long they have been left alone when they are read, in seconds.
_PAUSE = 1.0
# How long a context is used, in seconds: sessions are resumed with a key of its own (see `contexts`).
_DAY = 86_400.0

# What tells one state of a file from another.
_State = tuple[tuple[int, ...], ...]


class Certificates:
    """The certificates in pairs of files, (certificate with its chain, key), as they are now: a call gives the context
    for a connection that begins.

    Which one a client gets is decided by the name that it asks for (SNI, RFC 6066 §3) and the names that stand in the
    certificates; where none has it, or the client names none, it is the first.  `names` are all of them.  The key may
    be in the certificate's file, and is then named "".  Raises CertificateError where one cannot be used now.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._pairs = [_Pair(certificate, key, clock, wall_clock) for certificate, key in pairs]
        self._look_from = clock() + _PAUSE
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._choose()

    def __call__(self) -> ssl.SSLContext:
        if self._clock() >= self._look_from:
            self.look()
        return self._pairs[0].context

    def look(self) -> None:
        """Look at the files now, and take what is new and good."""
        self._look_from = self._clock() + _PAUSE
        renewed = [pair.renewed() for pair in self._pairs]
        if any(renewed):
            self._choose()

    @property
    def names(self) -> list[str]:
        """The names and addresses that the certificates are for."""
        return list(self._by_name)

    def _choose(self) -> None:
        # Of two certificates for a name the first counts, so it comes last here.
        self._by_name = {name: pair.context for pair in reversed(self._pairs) for name in pair.names}
        for pair in self._pairs if len(self._pairs) > 1 else ():
            pair.context.sni_callback = self._asked_for

    def _asked_for(self, engine: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Have the engine go on with the certificate for the name that the client asks for."""
        name = (name or "").lower()
        found = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if found is not None and found is not context:
            engine.context = found


class _Loaded(NamedTuple):
    context: ssl.SSLContext
    names: list[str]
    times: tuple[str, str]


class _Pair:
    """A certificate and its key in files: the context made of them, and the names it is for."""

    def __init__(self, certificate: str, key: str, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._wall_clock = wall_clock
        # Before they are read: what changes meanwhile is seen afterwards.
        state = self._state()
        self._take(_loaded(certificate, key), state)

    @property
    def context(self) -> ssl.SSLContext:
        return self._now.context

    @property
    def names(self) -> list[str]:
        return self._now.names

    def renewed(self) -> bool:
        """Take the files as they are now, if that is due, and if they are good; whether it was done."""
        state = self._state()
        if (state == self._taken and self._clock() < self._until) or not self._quiet(state):
            return False
        try:
            new = _loaded(self._certificate, self._key)
        except CertificateError as why:
            self._tell(str(why))
            return False
        if self._state() != state:
            return False
        if state != self._taken:
            logger.info("the certificate in %s is a new one", self._certificate)
        self._take(new, state)
        return True

    def _take(self, new: _Loaded, state: _State) -> None:
        self._now, self._taken, self._told = new, state, ""
        self._until = self._clock() + _DAY
        self._tell_time(*new.times)

    def _tell_time(self, first: str, last: str) -> None:
        """Warn of a certificate whose time is not now; as each is taken anew every day, of one that runs out, too."""
        now = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._wall_clock()))
        if now > last:
            told = "has run out on", last
        elif now < first:
            told = "does not count before", first
        else:
            return
        day = f"{told[1][:4]}-{told[1][4:6]}-{told[1][6:8]}"
        logger.warning("the certificate in %s %s %s, and clients refuse it", self._certificate, told[0], day)

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            logger.warning("the certificate stays the one from before: %s", why)

    def _state(self) -> _State:
        """What tells whether the files are others than before; a time of change stands first, or why there is none."""
        found: list[tuple[int, ...]] = []
        for path in dict.fromkeys((self._certificate, self._key or self._certificate)):
            try:
                status = os.stat(path)
            except OSError as why:
                found.append((why.errno or 0,))
            else:
                found.append((max(status.st_mtime_ns, status.st_ctime_ns), status.st_size, status.st_ino))
        return tuple(found)

    def _quiet(self, state: _State) -> bool:
        """Whether the files have been left alone for a while."""
        now = self._wall_clock()
        return not any(0 <= now - file[0] / 1e9 < _PAUSE for file in state)


def _loaded(certificate: str, key: str) -> _Loaded:
    """Raises CertificateError."""
    context = from_files(certificate, key)
    try:
        own = first_of(read_pem(certificate))
        return _Loaded(context, names_in(own), times_in(own))
    except ValueError as why:
        raise CertificateError(f"the names or times in {certificate} cannot be read: {why}") from None
