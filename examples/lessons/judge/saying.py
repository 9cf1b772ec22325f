"""Words for what is wrong: bytes and cuts as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from httpd.trace.replay import cut, one_by_one

__all__ = ["Wrong", "cuttings", "near", "quoted"]

# How much is shown of bytes that are long: their beginning and their end.
_SHOWN = 24
# How much is shown on each side of a cut.
_NEAR = 14


class Wrong(Exception):
    """What is still wrong, in a sentence."""


def quoted(data: object) -> str:
    """Bytes as Python writes them; of long ones the beginning and the end."""
    if isinstance(data, (bytes, bytearray)) and len(data) > 3 * _SHOWN:
        return f"{bytes(data[:_SHOWN])!r}…{bytes(data[-_SHOWN:])!r} ({len(data)} bytes)"
    return repr(data)


def near(pieces: Sequence[bytes]) -> str:
    """How the bytes were cut: "in one piece", "byte by byte", or the place, with what stands around it."""
    if len(pieces) == 1:
        return "In one piece"
    if len(pieces) > 2:
        return "Byte by byte"
    before, after = pieces
    left = ("…" if len(before) > _NEAR else "") + repr(before[-_NEAR:])
    right = repr(after[:_NEAR]) + ("…" if len(after) > _NEAR else "")
    return f"Cut after byte {len(before)}, {left} | {right}"


def cuttings(data: bytes) -> Iterator[list[bytes]]:
    """The bytes whole, in two pieces cut at every place, and byte by byte."""
    yield [data]
    for place in range(1, len(data)):
        yield cut(data, [place])
    yield one_by_one(data)
