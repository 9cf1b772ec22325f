"""A file as a response: opened below the root, remembered as an entity, answered by its conditions and its Range.

Whatever a path leads to, if it is a file's content that is sent, it is sent from here, in the coding that the client
prefers.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence

from ..protocol.errors import HTTPError
from ..protocol.message import Head, Headers, Response, replaced
from ..protocol.negotiation import preferred_coding, varying
from ..protocol.validators import evaluate
from .answers import NOSNIFF
from .caching import cache_control
from .entities import Entities, Entity, Key
from .root import Root, http_error
from .siblings import SUFFIXES, siblings
from .types import media_type

__all__ = ["Files", "Lines", "absent", "answer"]

Lines = tuple[tuple[str, str], ...]

# The request's field by which one of several encoded forms is chosen.
_BY_CODING = "Accept-Encoding"


class Files:
    """The files below a root.  `headers` are field lines for every one of them; `entities` is the cache.

    Raises ValueError for field lines that cannot be sent.
    """

    def __init__(self, root: Root, headers: Iterable[tuple[str, str]], entities: Entities) -> None:
        self.root = root
        # What cannot be sent is refused here, not at every file.
        self.headers = _sendable(headers)
        self.entities = entities

    def fields(self, name: bytes) -> Lines:
        """The field lines of a file of that name, besides its validators."""
        plain = os.fsdecode(name)
        kind = media_type(plain)
        lines = [("Content-Type", kind), NOSNIFF, ("Cache-Control", cache_control(plain, kind))]
        return tuple(replaced(lines, self.headers))

    def send(self, head: Head, parts: Sequence[bytes], key: Key, fields: Lines, status: int = 200) -> Response | None:
        """The answer to a GET or HEAD from the regular file that these names lead to; None where there is none.

        It is remembered under `key`, which must tell it from the same file with other field lines.  A status other
        than 200 is no answer to a condition or a Range, and has no validators (RFC 9110 §8.8, §13.2.1, §14.2).
        Raises HTTPError: 403, 412, 416, and 503 where descriptors have run out; and Later (see `tags`).
        """
        entity = self.entities.find(key)
        if entity is not None and entity.codings:
            entity = self.in_coding(entity, key, head.headers)
        if entity is not None:
            return _as_status(entity, head, status)
        try:
            entity = self._load(head.headers, parts, key, fields)
        except OSError as error:
            absent(error)
            return None
        try:
            return _as_status(entity, head, status)
        finally:
            entity.close()

    def in_coding(self, entity: Entity, key: Key, headers: Headers, in_round: int = 0) -> Entity | None:
        """What the client prefers to have of a remembered file, if that is remembered, too."""
        coding = preferred_coding(headers.get("accept-encoding"), entity.codings)
        if not coding:
            return entity
        sibling = self.entities.find((coding, key), in_round)
        return sibling if sibling is not None and sibling.mtime_ns >= entity.mtime_ns else None

    # ---- what is not remembered

    def _load(self, headers: Headers, parts: Sequence[bytes], key: Key, fields: Lines) -> Entity:
        """The entity of a file or, if the client prefers that, of a sibling; it is the caller's to close."""
        entity = self._load_original(parts, key, fields)
        try:
            coding = preferred_coding(headers.get("accept-encoding"), entity.codings)
            sibling = self._load_sibling(entity, coding, parts, key, fields) if coding else None
        except BaseException:
            entity.close()
            raise
        if sibling is None:
            return entity
        entity.close()
        return sibling

    def _load_original(self, parts: Sequence[bytes], key: Key, fields: Lines) -> Entity:
        beside = siblings(self.root.location(parts))
        served = [one for one in beside if self._is_served(_beside(parts, one.coding))]
        opened = self._open_file(parts)
        fresh = [one for one in served if one.mtime_ns >= opened[1].st_mtime_ns]
        codings = tuple(one.coding for one in sorted(fresh, key=lambda one: one.size))
        own = varying(fields, _BY_CODING) if codings else fields
        entity = self.entities.load(key, self.root.location(parts), opened, own)
        self.entities.watch(entity, beside, codings)
        return entity

    def _load_sibling(
        self, entity: Entity, coding: str, parts: Sequence[bytes], key: Key, fields: Lines
    ) -> Entity | None:
        """The entity of a file's encoded form, of which all is said that is said of the file; None if it has gone."""
        name = _beside(parts, coding)
        try:
            opened = self._open_file(name)
        except OSError as error:
            _pass_over(error)
            return None
        own = varying([*fields, ("Content-Encoding", coding)], _BY_CODING)
        sibling = self.entities.load((coding, key), self.root.location(name), opened, own, coding)
        if sibling.mtime_ns >= entity.mtime_ns:
            return sibling
        sibling.close()
        return None

    def _is_served(self, parts: Sequence[bytes]) -> bool:
        """Whether there is a regular file that may be read, and that the policy for links does not refuse."""
        try:
            os.close(self._open_file(parts)[0])
        except OSError as error:
            _pass_over(error)
            return False
        return True

    def _open_file(self, parts: Sequence[bytes]) -> tuple[int, os.stat_result]:
        """Open a regular file.  Raises FileNotFoundError for a folder, too."""
        opened = self.open(parts)
        if not stat.S_ISREG(opened[1].st_mode):
            os.close(opened[0])
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return opened

    def open(self, parts: Sequence[bytes]) -> tuple[int, os.stat_result]:
        """Open below the root; where descriptors have run out, give those of the cache back and try once more."""
        try:
            return self.root.open(parts)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.entities.trim()
            return self.root.open(parts)

    def has(self, parts: Sequence[bytes]) -> bool:
        """Whether there is a file or folder that may be opened.  Raises HTTPError as `send` does."""
        try:
            os.close(self.open(parts)[0])
        except OSError as error:
            absent(error)
            return False
        return True


def absent(error: OSError) -> None:
    """Take a failed look-up for what is not there; raise what else it means (see `http_error`)."""
    meant = http_error(error)
    if meant.status != 404:
        raise meant from error


def _sendable(headers: Iterable[tuple[str, str]]) -> Lines:
    """These field lines, tried by a response of their own.  Raises ValueError where one breaks the head."""
    trial = Response(headers=headers)
    _ = trial.fields
    return tuple(trial.headers)


def _beside(parts: Sequence[bytes], coding: str) -> list[bytes]:
    return [*parts[:-1], parts[-1] + SUFFIXES[coding]]


def _pass_over(error: OSError) -> None:
    """Do without a file that the client may not have.  Raises `error` where the server is in trouble."""
    if http_error(error).status not in (403, 404):
        raise error


def _as_status(entity: Entity, head: Head, status: int) -> Response:
    if status == 200:
        return answer(entity, head)
    # For HEAD too: what encodes it on the way must see what it is.
    return Response(entity.part(0, entity.length), status, entity.fields, length=entity.length)


def answer(entity: Entity, head: Head) -> Response:
    """The entity's response to a GET or HEAD, its conditions judged, and then its Range.  Raises HTTPError 412, 416."""
    status = evaluate(head.method, head.headers, entity.etag, entity.mtime)
    if status == 304:
        return entity.not_modified
    if status == 412:
        raise HTTPError(412, headers=entity.vary)
    if head.method == "HEAD":
        # A Range is nothing to HEAD (RFC 9110 §14.2).
        return entity.empty
    if "range" in head.headers and (part := _partial(entity, head.headers)) is not None:
        return part
    return entity.whole or entity.stream()


def _partial(entity: Entity, headers: Headers) -> Response | None:
    from .parts import partial

    return partial(entity, headers)
