"""A film made of still pictures, so that none need be kept: WebM, the part of Matroska (RFC 9559) that browsers play.

Pictures are lossy WebP, which is a VP8 key frame in a box of its own; a browser's canvas gives it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["film"]


def film(pictures: Sequence[bytes], seconds: float, width: int, height: int) -> bytes:
    """WebM that shows each picture for so many seconds, each to be sought by itself: its index stands first."""
    step = round(1000 * seconds)
    clusters = [_cluster(step * number, _key_frame(picture)) for number, picture in enumerate(pictures)]
    duration = _element(0x4489, struct.pack(">d", step * len(pictures)))
    about = _element(0x1549A966, _number(0x2AD7B1, 1_000_000), duration, _text(0x4D80, "test"), _text(0x5741, "test"))
    video = _element(0xE0, _number(0xB0, width), _number(0xBA, height))
    track = _element(0xAE, _number(0xD7, 1), _number(0x73C5, 1), _number(0x83, 1), _text(0x86, "V_VP8"), video)
    start = about + _element(0x1654AE6B, track)
    # Every number takes eight bytes, so the index is as long with the right places as with any.
    places = [len(start) + len(_index([0] * len(clusters), step))]
    for cluster in clusters[:-1]:
        places.append(places[-1] + len(cluster))
    versions = [_number(name, value) for name, value in ((0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8))]
    kind = [_text(0x4282, "webm"), _number(0x4287, 2), _number(0x4285, 2)]
    return _element(0x1A45DFA3, *versions, *kind) + _element(0x18538067, start, _index(places, step), *clusters)


def _index(places: Sequence[int], step: int) -> bytes:
    """Where each picture's cluster begins, counted from the segment's first byte (RFC 9559 §22)."""
    points = [
        _element(0xBB, _number(0xB3, step * number), _element(0xB7, _number(0xF7, 1), _number(0xF1, place)))
        for number, place in enumerate(places)
    ]
    return _element(0x1C53BB6B, *points)


def _cluster(time: int, frame: bytes) -> bytes:
    """One key frame of the first track, at a time in milliseconds."""
    return _element(0x1F43B675, _number(0xE7, time), _element(0xA3, b"\x81\x00\x00\x80", frame))


def _element(name: int, *content: bytes) -> bytes:
    """Name, length in eight bytes, content (RFC 8794 §6)."""
    inner = b"".join(content)
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + struct.pack(">Q", 1 << 56 | len(inner)) + inner


def _number(name: int, value: int) -> bytes:
    return _element(name, struct.pack(">Q", value))


def _text(name: int, value: str) -> bytes:
    return _element(name, value.encode())


def _key_frame(picture: bytes) -> bytes:
    """The VP8 key frame in a WebP picture; there may be a colour profile and more before it."""
    place = len("RIFF----WEBP")
    while picture[place : place + 4] != b"VP8 ":
        (length,) = struct.unpack_from("<I", picture, place + 4)
        place += 8 + length + length % 2
    (length,) = struct.unpack_from("<I", picture, place + 4)
    return picture[place + 8 : place + 8 + length]
