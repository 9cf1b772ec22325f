"""Cookies (RFC 6265): what a client sends back, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator

from .grammar import late

__all__ = ["cookie_values", "set_cookie"]

# cookie-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E                                     (RFC 6265 §4.1.1)
_VALUE = late(r"[!#-+\--:<-\[\]-~]*")


def cookie_values(field: str, name: str) -> Iterator[str]:
    """The values of the cookies of that name in a Cookie field, in their order: that of the nearest path first."""
    for pair in field.split(";"):
        found, equals, value = pair.strip(" \t").partition("=")
        if equals and found == name:
            yield value


def set_cookie(name: str, value: str, *, max_age: int, secure: bool, path: str = "/") -> tuple[str, str]:
    """The field line that has a browser send a cookie for `max_age` seconds (0: no longer), to the whole site or to a
    path and what is below it.

    No script sees it, and other sites' forms and scripts do not bring it along.  Raises ValueError for a value that
    cannot be sent.
    """
    if not _VALUE.fullmatch(value):
        raise ValueError(f"a character that no cookie has: {value!r}")
    attributes = [f"Path={path}", f"Max-Age={max_age}", "HttpOnly", "SameSite=Lax", *["Secure"] * secure]
    return "Set-Cookie", "; ".join([f"{name}={value}", *attributes])
