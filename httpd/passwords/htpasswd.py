"""An htpasswd file, and whether somebody's name and password are in it.

Only bcrypt is taken: what else htpasswd writes (MD5, SHA-1, crypt) is guessed by the billion, and is refused with its
line.  A check takes a good part of a second on purpose, so it is done beside the loop (see `Later`), and its outcome
is remembered for a while, under a digest with a key that this process made up.  A name that is not in the file costs
a check too, or the time would tell which names are.
"""

from __future__ import annotations

import binascii
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

import bcrypt

from ..protocol.errors import HTTPError, Later
from ..protocol.grammar import late
from .tries import Tries, wrong_passwords

__all__ = ["Credentials", "PasswordFile", "parse_credentials", "parse_htpasswd"]

logger = logging.getLogger("httpd.site")

# The longest value of Authorization that is looked at.
_MOST_VALUE = 1_024
# The longest password file, and how often it is looked at, in seconds.
_MOST_FILE = 1 << 20
_PAUSE = 1.0
# How long an outcome is remembered after its last use, in seconds, and how many are.
_RIGHT_FOR = 600.0
_WRONG_FOR = 30.0
_MOST_KNOWN = 1_024
# How many checks may be under way or wait for the one before.
_MOST_CHECKED = 64
# bcrypt has never looked further, and htpasswd has always cut what is longer.
_MOST_PASSWORD = 72

# The cost, 2^4 to 2^17 rounds as htpasswd has it: one more doubles the time, and 2^17 are some ten seconds.
_BCRYPT = late(r"\$2[aby]\$(?:0[4-9]|1[0-7])\$[./A-Za-z0-9]{53}")
_OTHERS = {
    "{SHA}": "SHA-1 without a salt",
    "$apr1$": "MD5",
    "$1$": "MD5",
    "$5$": "SHA-256, which is not read here",
    "$6$": "SHA-512, which is not read here",
    "$2": "bcrypt of a form or a cost that is not read here",
}
_CONTROL = late(r"[\x00-\x1f\x7f]")


class Credentials(NamedTuple):
    """What a client gives; the password is not for printing."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, …)"


def parse_credentials(value: str) -> Credentials | None:
    """The name and the password in a value of Authorization (RFC 7617 §2), None where there are none.

    Both are UTF-8, as the challenge asks for; the name ends at the first colon.
    """
    scheme, _, encoded = value.partition(" ")
    encoded = encoded.strip(" ")
    if scheme.lower() != "basic" or len(value) > _MOST_VALUE or len(encoded) % 4:
        return None
    try:
        text = binascii.a2b_base64(encoded, strict_mode=True).decode("utf-8")
    except ValueError:
        return None
    user, colon, password = text.partition(":")
    return Credentials(user, password) if colon and not _CONTROL.search(text) else None


def parse_htpasswd(text: str) -> dict[str, bytes]:
    """User names and their hashes.  Raises ValueError that names the line, and says what to do."""
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, hashed = line.partition(":")
        if not colon or not name or _CONTROL.search(name):
            raise ValueError(f"line {number} is not a name and a hash with a colon between them")
        if name in users:
            raise ValueError(f"line {number}: {name} stands there twice; delete one of them")
        if not _BCRYPT.fullmatch(hashed):
            found = next((what for start, what in _OTHERS.items() if hashed.startswith(start)), "no bcrypt")
            raise ValueError(f"line {number}: the password of {name} is {found}; set it anew with htpasswd -B")
        users[name] = hashed.encode("ascii")
    if not users:
        raise ValueError("there is no user in it; add one with htpasswd -B")
    return users


class _Table:
    """What a file said when it was read, and what was found out with that."""

    def __init__(self, users: dict[str, bytes]) -> None:
        self.users = users
        self._hashes = list(users.values())
        self._key = os.urandom(32)
        self._known: dict[bytes, tuple[str, float]] = {}

    def digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), key=self._key, digest_size=32).digest()

    def outcome(self, digest: bytes, now: float) -> str | None:
        """The user whose credentials these are, "" where they are nobody's, None where that is not known (any more)."""
        user, until = self._known.get(digest, ("", 0.0))
        if until <= now:
            return None
        if user:
            self.keep(digest, user, now)
        return user

    def keep(self, digest: bytes, user: str, now: float) -> None:
        """Remember an outcome, for a while from now on."""
        self._known.pop(digest, None)
        self._known[digest] = user, now + (_RIGHT_FOR if user else _WRONG_FOR)
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def find_out(self, given: Credentials) -> str:
        """The user whose credentials these are, or "".  Takes long."""
        hashed = self.users.get(given.user)
        # For a name that is not there another's hash, always the same one: it takes as long.
        other = self._hashes[int.from_bytes(self.digest(given.user)[:8], "big") % len(self._hashes)]
        right = bcrypt.checkpw(given.password.encode()[:_MOST_PASSWORD], hashed or other)
        return given.user if right and hashed else ""


class PasswordFile:
    """The users in a file, which is read again when it changes.

    `clock` is in seconds; `client` says what counts as one client, given an address, and `tries` counts the wrong
    passwords of each, of other files, too.

    Raises OSError where it cannot be read, ValueError where something in it is wrong.  If that comes about later,
    nobody gets in until it is mended.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        client: Callable[[str], Hashable] = str,
        tries: Tries | None = None,
    ) -> None:
        self.path = os.path.abspath(path)
        self._clock = clock
        self._client = client
        self._state, self._again = self._look(), True
        self._table: _Table | None = _Table(self._read())
        self._due = clock() + _PAUSE
        # What follows is changed by the thread that checks, too.
        self._lock = threading.Lock()
        self._checked: set[bytes] = set()
        self._tries = tries or wrong_passwords()

    def user(self, value: str, peer: str) -> str:
        """The user whose credentials this value of Authorization holds, "" for nobody's; `peer` is who asks.

        Raises Later where that has to be found out, HTTPError 429 for an address that guesses, and 503 where too many
        wait or the file has become unreadable.
        """
        table, now = self._current(), self._clock()
        given = parse_credentials(value)
        if given is None:
            return ""
        digest = table.digest(value)
        # Of another file the same would be another guess.
        trial = self._client(peer), f"{self.path} {value}"
        with self._lock:
            user = table.outcome(digest, now)
            if user is not None:
                return user
            if digest not in self._checked:
                if len(self._checked) >= _MOST_CHECKED:
                    raise _busy()
                self._tries.add(*trial, now)
                self._checked.add(digest)
        raise Later(lambda: self._check(table, digest, given, trial))

    def _check(self, table: _Table, digest: bytes, given: Credentials, trial: tuple[Hashable, str]) -> None:
        """Find out beside the loop, unless another request with the same credentials has had it found out."""
        with self._lock:
            if table.outcome(digest, self._clock()) is not None:
                return
        try:
            user = table.find_out(given)
            with self._lock:
                table.keep(digest, user, self._clock())
                if user:
                    self._tries.forgive(*trial)
        finally:
            with self._lock:
                self._checked.discard(digest)

    # ---- the file

    def _current(self) -> _Table:
        if self._clock() >= self._due:
            self._due = self._clock() + _PAUSE
            self._read_again()
        if self._table is None:
            raise _busy()
        return self._table

    def _read_again(self) -> None:
        """Read the file if it has changed.  Other users, or another password, and nothing is known any more."""
        try:
            state = self._look()
            if state == self._state and not self._again:
                return
            # A second change in the same tick of the file system's clock leaves no mark: a young file is read twice.
            self._again, self._state = state != self._state, state
            users = self._read()
            if self._table is None or self._table.users != users:
                self._table = _Table(users)
        except (OSError, ValueError) as error:
            if self._table is not None:
                logger.error("nobody gets in by %s: %s", self.path, getattr(error, "strerror", None) or error)
            self._table = None

    def _look(self) -> tuple[int, ...]:
        """What tells one state of the file from another."""
        status = os.stat(self.path)
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev

    def _read(self) -> dict[str, bytes]:
        with open(self.path, "rb") as file:
            octets = file.read(_MOST_FILE + 1)
        if len(octets) > _MOST_FILE:
            raise ValueError(f"it is longer than {_MOST_FILE} bytes")
        try:
            return parse_htpasswd(octets.decode("utf-8"))
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None


def _busy() -> HTTPError:
    return HTTPError(503, headers=[("Retry-After", "2")])
