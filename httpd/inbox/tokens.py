"""The hidden token of a form that we show: by it what is sent twice is one, and it tells when the page was made.

Anyone could make one up, who would gain nothing by it.  A signed token, for a site that asks for it, nobody else can
make, and it only counts together with the cookie that came with the page: what another site has its visitors send has
the cookie of theirs, but no token that fits.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from ..protocol.grammar import late

__all__ = ["LONGEST", "SignedTokens", "Token", "Tokens"]

# How long a page may stay open before its signed token is none any more, in seconds.
LONGEST = 86_400

# The seconds since 1970, in hexadecimal digits, and sixteen characters of chance.
_token = r"([0-9a-f]{8,11})\.([A-Za-z0-9_-]{16})"
_TOKEN = late(_token)
# Its signature, which whoever reads it would take with anything else in it.
_SIGNED = late(_token + "~[A-Za-z0-9_-]{43}")


class Token(NamedTuple):
    """What a token says: `nonce` is like that of no other, `made` in seconds since 1970."""

    nonce: str
    made: int


class Tokens:
    """Makes and reads tokens; `clock` gives seconds since 1970."""

    needs_cookie = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def make(self, cookie: str) -> str:
        """A new token, for who has that cookie."""
        return f"{int(self._clock()):x}.{secrets.token_urlsafe(12)}"

    def read(self, text: str, cookie: str) -> Token | None:
        """What a token says; None for what is none."""
        found = _TOKEN.fullmatch(text)
        return Token(found[2], int(found[1], 16)) if found else None


class SignedTokens(Tokens):
    """Tokens that nobody makes who has not the key, each for the form at one path and for one cookie.

    Raises ImportError where the package itsdangerous is not installed.
    """

    needs_cookie = True

    def __init__(self, clock: Callable[[], float], key: bytes, path: str) -> None:
        from hashlib import sha256

        from itsdangerous import BadSignature, Signer

        super().__init__(clock)
        self._bad: type[Exception] = BadSignature
        salt = f"httpd.inbox {path} "
        self._signer: Callable[[str], Any] = lambda cookie: Signer(key, salt + cookie, "~", digest_method=sha256)

    def make(self, cookie: str) -> str:
        """A new token, signed."""
        return str(self._signer(cookie).sign(super().make(cookie)).decode("ascii"))

    def read(self, text: str, cookie: str) -> Token | None:
        """What a token says; None also for one that is not ours, for another cookie, or too old."""
        if not cookie or not _SIGNED.fullmatch(text):
            return None
        try:
            token = super().read(self._signer(cookie).unsign(text).decode("ascii"), cookie)
        except self._bad:
            return None
        return token if token and self._clock() - token.made <= LONGEST else None
