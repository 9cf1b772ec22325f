"""A film made of still pictures, or of frames: WebM, the part of Matroska (RFC 9559) that browsers play.

Pictures are lossy WebP, which is a VP8 key frame in a box of its own; a browser's canvas gives it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Frame", "film", "webm"]


class Frame(NamedTuple):
    """A frame of VP8 or VP9 at its time, in milliseconds; a key frame can be shown without those before it."""

    time: int
    is_key: bool
    data: bytes


def film(pictures: Sequence[bytes], seconds: float, width: int, height: int) -> bytes:
    """WebM that shows each picture for so many seconds, each to be sought by itself."""
    step = round(1000 * seconds)
    frames = [Frame(step * number, True, _key_frame(picture)) for number, picture in enumerate(pictures)]
    return webm(frames, step * len(pictures), width, height)


def webm(frames: Sequence[Frame], duration: int, width: int, height: int, codec: str = "V_VP8") -> bytes:
    """WebM of these frames, the first one a key frame, in so many milliseconds.  Its index stands first, with each key
    frame, so that it can be sought without having all of it.
    """
    starts = [number for number, frame in enumerate(frames) if frame.is_key]
    groups = [frames[start:end] for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)]
    clusters, times = [_cluster(group) for group in groups], [group[0].time for group in groups]
    long = _element(0x4489, struct.pack(">d", duration))
    about = _element(0x1549A966, _number(0x2AD7B1, 1_000_000), long, _text(0x4D80, "test"), _text(0x5741, "test"))
    video = _element(0xE0, _number(0xB0, width), _number(0xBA, height))
    track = _element(0xAE, _number(0xD7, 1), _number(0x73C5, 1), _number(0x83, 1), _text(0x86, codec), video)
    start = about + _element(0x1654AE6B, track)
    # Every number takes eight bytes, so the index is as long with the right places as with any.
    places = [len(start) + len(_index(times, [0] * len(clusters)))]
    for cluster in clusters[:-1]:
        places.append(places[-1] + len(cluster))
    versions = [_number(name, value) for name, value in ((0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8))]
    kind = [_text(0x4282, "webm"), _number(0x4287, 2), _number(0x4285, 2)]
    return _element(0x1A45DFA3, *versions, *kind) + _element(0x18538067, start, _index(times, places), *clusters)


def _index(times: Sequence[int], places: Sequence[int]) -> bytes:
    """Where the cluster of each time begins, counted from the segment's first byte (RFC 9559 §22)."""
    points = [
        _element(0xBB, _number(0xB3, time), _element(0xB7, _number(0xF7, 1), _number(0xF1, place)))
        for time, place in zip(times, places, strict=True)
    ]
    return _element(0x1C53BB6B, *points)


def _cluster(frames: Sequence[Frame]) -> bytes:
    """A key frame of the first track, and what follows it up to the next."""
    first = frames[0].time
    blocks = [
        _element(0xA3, b"\x81", struct.pack(">hB", frame.time - first, 0x80 if frame.is_key else 0), frame.data)
        for frame in frames
    ]
    return _element(0x1F43B675, _number(0xE7, first), *blocks)


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
