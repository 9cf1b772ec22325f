"""Where submissions are sent on to, as a person writes it."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..protocol.grammar import late

__all__ = ["KINDS", "Target", "is_address", "mail_target", "read_targets", "webhook_target"]

# An address that needs no quoting, in ASCII (RFC 5321 §4.1.2: dot-string @ domain).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = late(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_LONGEST_ADDRESS = 254


class Target(NamedTuple):
    """Where submissions are sent on to: a "webhook" and its URL, or "mail" and an address."""

    kind: str
    address: str


def webhook_target(url: str) -> Target:
    """The target of that URL.  Raises ValueError, its text a sentence for whoever wrote it."""
    try:
        parts = urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    if bad or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is not a URL of http or https, such as https://example.org/hook")
    if "@" in parts.netloc:
        raise ValueError(f"a webhook is signed, so the URL for {parts.hostname} needs no password in it; leave it out")
    return Target("webhook", url)


def mail_target(address: str) -> Target:
    """The target of a mail address.  Raises ValueError, its text a sentence."""
    if not is_address(address):
        raise ValueError(f"{address!r} is not a mail address that can be written to, such as me@example.org")
    return Target("mail", address)


def is_address(text: str) -> bool:
    """Whether this is one plain mail address, without anything that a header would read as more."""
    # "=?" begins an encoded word (RFC 2047 §2), which EmailMessage decodes, and if that says CR LF, sends it so.
    return len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None and "=?" not in text


# Each kind, and what makes a target of a text.
KINDS = {"webhook": webhook_target, "mail": mail_target}


def read_targets(kind: str, value: Any) -> tuple[Target, ...]:
    """What a form's table says of a kind of target: a text, a list of texts, false for none.  Raises ValueError."""
    texts = [] if value is False else [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"this is a text, a list of texts, or false, not {value!r}")
    return tuple(dict.fromkeys(map(KINDS[kind], texts)))
