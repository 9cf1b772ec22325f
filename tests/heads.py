"""A channel's way of handing heads to the parser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from httpd.protocol.errors import Refusal
from httpd.protocol.head import HeadParser
from httpd.protocol.message import Head
from httpd.server.limits import Limits

from .refusals import LIMITS as SMALL

__all__ = ["SMALL", "feed", "parser", "said", "verdict_on"]


def parser(limits: Limits = SMALL, **more: int) -> HeadParser:
    """A parser under these limits."""
    return HeadParser(
        max_request_line=limits.request_line,
        max_head=limits.head,
        max_fields=limits.fields,
        max_body=limits.body,
        **more,
    )


def feed(pieces: Iterable[bytes], with_parser: HeadParser) -> Head | Refusal | None:
    """What comes of the first head of a stream that arrives in these pieces; None if it waits for more.

    A refusal's span counts from the first byte of the stream.
    """
    held = b""
    skipped = empty_lines = 0
    for piece in pieces:
        held += piece
        head, end, _ = held.partition(b"\r\n\r\n")
        if end and not head and not empty_lines:
            held, skipped, empty_lines = held[4:], 4, 2
            head, end, _ = held.partition(b"\r\n\r\n")
        verdict = verdict_on(head, with_parser, empty_lines) if end else with_parser.judge_early(held, empty_lines)
        if verdict is not None:
            return verdict.moved(skipped) if isinstance(verdict, Refusal) else verdict
    return None


def verdict_on(head: bytes, with_parser: HeadParser, empty_lines: int = 0) -> Head | Refusal:
    """What the handler goes by: what is known of a head, or else what is found out."""
    return with_parser.known(head) or with_parser.parse(head, empty_lines)


def said(head: Head) -> dict[str, Any]:
    """Everything a Head says, to compare by."""
    return {name: getattr(head, name) for name in Head.__slots__}
