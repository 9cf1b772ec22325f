"""How values are written: each function makes one of a text, or raises ValueError with a sentence for the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..server.limits import read_limits

__all__ = [
    "HERE", "console_port", "file_mode", "host", "limit", "one_of", "origin", "path", "perhaps", "place", "port",
    "proxy", "seconds", "store", "workers",
]  # fmt: skip

T = TypeVar("T")
W = TypeVar("W", bound=str)

# What is said where an option stands alone: a place, as we see fit.
HERE = "-"


def port(text: str) -> int:
    """A TCP port."""
    if text.isdecimal() and len(text) <= 5 and int(text) < 65_536:
        return int(text)
    raise ValueError(f"{text!r} is not a port: give a number from 0 to 65535")


def perhaps(read: Callable[[str], T]) -> Callable[[str], T | None]:
    """What `read` makes of a text, None of no text."""
    return lambda text: read(text) if text else None


def seconds(text: str) -> int:
    """A time, in whole seconds."""
    if text.isdecimal() and len(text) <= 10:
        return int(text)
    raise ValueError(f"{text!r} is no time: give a number of seconds")


def console_port(text: str) -> int | None:
    """A TCP port, -1 for any one; None where there is no console."""
    return None if not text else -1 if text == HERE else port(text)


def place(text: str) -> int | str | None:
    """Where an operator's page is: a port of this machine, -1 for any one, or a path of the site; None for nowhere."""
    if not text.startswith("/"):
        return console_port(text)
    if not path(text).rstrip("/"):
        raise ValueError(f"{text!r} is the whole site: name a path in it, such as /status")
    return text.rstrip("/")


def workers(text: str) -> int:
    """How many processes serve; -1 for as many as there are processors, 0 for the one that is started."""
    if text == "auto":
        return -1
    if text.isdecimal() and int(text) <= 1_024:
        return int(text)
    raise ValueError(f"{text!r} is neither a number up to 1024 nor auto")


def file_mode(text: str) -> int:
    """Who may do what with a file, as chmod takes it."""
    if len(text) in (3, 4) and text.strip("01234567") == "" and int(text, 8) <= 0o777:
        return int(text, 8)
    raise ValueError(f"{text!r} is not a mode: give three octal digits, such as 660")


def host(text: str) -> tuple[str, str]:
    """A host's name, as it is compared, and its folder."""
    name, equals, folder = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not NAME=DIR, such as www.example.org=public")
    from ..site.hosts import host_name

    return host_name(name), folder


def origin(text: str) -> str:
    """An origin for CORS, "" for none."""
    if not text:
        return ""
    from ..site.cors import allowed_origin

    return allowed_origin(text)


def path(text: str) -> str:
    """A path of the site, decoded; "" for none."""
    if not text or (text.startswith("/") and text.isprintable() and not set(text) & set(" ?#%")):
        return text
    raise ValueError(f"{text!r} is not a path: begin with a /, such as /healthz")


def proxy(text: str) -> tuple[str, str]:
    """A proxy that is believed: how it tells of its clients, and where it is."""
    from ..server.proxies import listed_proxy

    return listed_proxy(text)


def store(text: str) -> str:
    """A database's URL, as the store takes it; whether it is there is found out when it is opened."""
    scheme, _, rest = text.partition(":")
    if rest and scheme in ("sqlite", "postgresql", "postgres"):
        return text
    # All of it may have a password in it.
    raise ValueError(f"{scheme!r} is no store: that is sqlite:PATH or postgresql://USER@HOST/NAME")


def limit(text: str) -> str:
    """A limit that is one, as it is written."""
    read_limits([text])
    return text


def one_of(*words: W) -> Callable[[str], W]:
    """One of these words."""

    def read(text: str) -> W:
        for word in words:
            if word == text:
                return word
        raise ValueError(f"{text!r} is none of {', '.join(words)}")

    return read
