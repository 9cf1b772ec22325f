"""Parts of a file: the answer to a Range (RFC 9110 §14, §15.3.7)."""

from __future__ import annotations

import os

from ..net.producers import file_producer, parts_producer
from ..protocol.errors import HTTPError
from ..protocol.message import Headers, Response
from ..protocol.ranges import Part, byteranges, content_range, if_range, parse_range, unsatisfied_range
from .entities import Entity

__all__ = ["partial"]

_OF_EACH_PART = frozenset({"content-encoding", "content-type"})


def partial(entity: Entity, headers: Headers) -> Response | None:
    """The 206 that a GET's Range asks for; None where it is to be ignored: the answer is the whole.

    The caller has judged the preconditions, which come first (RFC 9110 §13.2.2).  Raises HTTPError 416 where nothing
    of what was asked for is there.
    """
    if "if-range" in headers and not if_range(headers["if-range"], entity.etag, entity.mtime):
        return None
    parts = parse_range(headers["range"], entity.length)
    if parts is None:
        return None
    if not parts:
        raise _unsatisfiable(entity)
    return _one(entity, parts[0]) if len(parts) == 1 else _several(entity, parts)


def _unsatisfiable(entity: Entity) -> HTTPError:
    detail = f"The range names nothing of the {entity.length} bytes that there are."
    return HTTPError(416, detail, [("Content-Range", unsatisfied_range(entity.length)), *entity.vary])


def _one(entity: Entity, part: Part) -> Response:
    """One part.  All fields of the 200 stand here too, after an If-Range as well: players look for the type."""
    lines = [*entity.empty.headers, ("Content-Range", content_range(part, entity.length))]
    return Response(entity.part(*part), 206, lines, length=part[1])


def _several(entity: Entity, parts: list[Part]) -> Response:
    """Several parts as multipart/byteranges.  The boundary is made up here, so nobody can have put it into the file.

    Type and coding are the parts', so each of them names its own; those of the whole are of its frames.
    """
    boundary = os.urandom(16).hex()
    lines = entity.empty.headers
    inner = [line for line in lines if line[0].lower() in _OF_EACH_PART]
    frames, length = byteranges(parts, entity.length, inner, boundary)
    return Response(
        _between(frames, [entity.part(*part) for part in parts]),
        206,
        [line for line in lines if line not in inner],
        content_type=f"multipart/byteranges; boundary={boundary}",
        length=length,
    )


def _between(frames: list[bytes], contents: list[bytes | file_producer]) -> bytes | parts_producer:
    """Each content between two frames."""
    pieces: list[bytes | file_producer] = [frames[0]]
    for content, frame in zip(contents, frames[1:], strict=True):
        pieces += (content, frame)
    held = [piece for piece in pieces if isinstance(piece, bytes)]
    return b"".join(held) if len(held) == len(pieces) else parts_producer(pieces)
