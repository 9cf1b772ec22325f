"""The file cache: what a path is now, ready to send.

An *entity* is a file with its responses made beforehand: the 200, its field lines rendered, and the 304.  A small
file's bytes are kept with it; a bigger one is kept as an open descriptor, which each response shares: the file's, or
from the second response on that of a copy in memory, unless it is too large.  The first hit of a round of requests
costs one `os.stat`: as long as inode, size, mode and both times of change are what they were, the entity is what the
file is.

A file changed within the last moments is served but not remembered: a second change in the same tick of the file
system's clock would leave no mark (hence the content's checksum in a small file's entity-tag, too).  What the
validators are is decided in `tags`.

The encoded form of a file is an entity of its own, remembered and checked like any other (see `siblings`).  The
original knows which of them there are; others are looked for whenever the cache is told that it is time.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import weakref
from collections.abc import Callable, Hashable, Iterable
from functools import partial

from ..net.producers import OpenFile, file_producer
from ..protocol.message import Response
from ..protocol.validators import http_date
from .copies import Copies
from .siblings import Sibling, siblings
from .tags import Tags, told_time

__all__ = ["COPIED", "SMALL", "Entities", "Entity", "Key", "give_back"]

# What an entity is remembered by: the path that was asked for, or whatever tells it from others of the same file.
Key = Hashable

# Up to here bytes, which are copied for every answer, are cheaper than a descriptor, which takes a call of its own.
SMALL = 131_072
# Up to here a copy is made, at once: that takes a millisecond or two, as long as others may be held up (see SLICE).
COPIED = 4 << 20
# A file system's clock may tick only every 10 ms (CONFIG_HZ=100); twice that is beyond doubt.
_TICK = 0.020
# How often a small file is read until it holds still.
_MOST_READS = 8
# So many values of a status are compared at once: mode, inode, device, links, owner, group, size.
_TOLD = stat.ST_SIZE + 1
# What a 304 does not repeat (RFC 9110 §15.4.5): the client has it with the content.
_OF_CONTENT = frozenset({"content-encoding", "content-type", "x-content-type-options"})


class Entity:
    """One file as it is: its validators and its responses.

    `whole` is the 200 of a small file, to be returned again and again, None for a bigger one, whose every GET needs
    the new Response that `stream()` gives.  `empty` is the 200 without the content, for HEAD; `not_modified` the 304.
    `etag` and `mtime` (seconds since the epoch, or None) are the validators, `fields` the field lines besides them;
    `length` is the content's, in bytes.  `codings` are those in which the file is to be had besides, the shortest form
    first.  `beside`, `looks`, `on_stream`, `round`, `streamed_at` and `used` are for the cache.
    """

    __slots__ = (
        "beside", "codings", "content", "ctime_ns", "empty", "etag", "fields", "file", "identity", "length", "loaded",
        "location", "looks", "mtime", "mtime_ns", "not_modified", "on_stream", "round", "size", "streamed_at", "used",
        "whole",
    )  # fmt: skip

    def __init__(
        self,
        location: bytes,
        status: os.stat_result,
        fields: Iterable[tuple[str, str]],
        content: bytes | OpenFile,
        validators: tuple[str, float | None],
    ) -> None:
        self.location = location
        self.identity = status[:_TOLD]
        self.mtime_ns = status.st_mtime_ns
        self.ctime_ns = status.st_ctime_ns
        self.size = status.st_size
        self.used = False
        self.codings: tuple[str, ...] = ()
        self.beside: tuple[Sibling, ...] | None = None
        self.looks = self.round = 0
        self.on_stream: Callable[[Entity], object] | None = None
        self.streamed_at = 0
        self.etag, self.mtime = validators
        self.content = content
        self.file = self.loaded = None if isinstance(content, bytes) else content
        self.length = len(content) if isinstance(content, bytes) else self.size
        self.fields = tuple(fields)
        self._make_responses()

    def _make_responses(self) -> None:
        modified = [] if self.mtime is None else [("Last-Modified", http_date(self.mtime))]
        lines = [*self.fields, *modified, ("ETag", self.etag), ("Accept-Ranges", "bytes")]
        self.whole = Response(self.content, 200, lines) if isinstance(self.content, bytes) else None
        self.empty = self.whole or Response(b"", 200, lines, length=self.length)
        kept = [line for line in self.fields if line[0].lower() not in _OF_CONTENT]
        self.not_modified = Response(b"", 304, [*kept, ("ETag", self.etag)])

    @property
    def vary(self) -> list[tuple[str, str]]:
        """The field line that tells by what this entity was chosen among others, for an error in its place."""
        return [line for line in self.fields if line[0] == "Vary"]

    def is_still(self, status: os.stat_result) -> bool:
        """Whether the file with this status is the one that the entity was made from, unchanged."""
        return (
            status.st_mtime_ns == self.mtime_ns
            and status.st_ctime_ns == self.ctime_ns
            and status[:_TOLD] == self.identity
        )

    def stream(self) -> Response:
        """A new 200 that sends the file of a bigger entity.  Its producer holds the descriptor until it is closed."""
        if self.on_stream is not None:
            self.on_stream(self)
        return self.empty.again(self.part(0, self.length))

    def part(self, start: int, length: int) -> bytes | file_producer:
        """So many bytes of the content; those of a bigger entity by a producer, which holds the descriptor too."""
        if isinstance(self.content, bytes):
            return self.content[start : start + length]
        return file_producer(self.content, start, length, (self.mtime_ns, self.size))

    def hold(self, copy: OpenFile) -> None:
        """Send a copy from now on; takes over a hold on it for the cache's on the file."""
        before, self.content, self.file = self.file, copy, copy
        if before is not None:
            before.release()

    def close(self) -> None:
        """Give up the hold on the descriptor, if there is one, of who has loaded it; responses have their own."""
        if self.loaded is not None:
            self.loaded.release()


class Entities:
    """Entities by their keys, bounded in number, bytes held and descriptors held; as many bytes may be held in copies.

    What has not been used since the last look goes first.  `share` is how many caches are to keep these bounds
    together.  `clock` gives the time of day in seconds, as `os.stat` does.
    """

    def __init__(
        self,
        *,
        max_count: int = 4_096,
        max_bytes: int = 32 << 20,
        max_open: int = 128,
        share: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.max_count = max_count // share
        self.max_bytes = max_bytes // share
        self.max_open = max_open // share
        self.clock = clock
        self.bytes_held = 0
        self.copies = Copies(self.max_bytes)
        self.looks = 0
        self._streams = 0
        self._tags = Tags(self.max_count)
        self._known: dict[Key, Entity] = {}
        self._open: dict[Key, Entity] = {}
        self._copied: dict[Key, Entity] = {}
        _every.add(self)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: Key, in_round: int = 0, stat: Callable[[bytes], os.stat_result] = os.stat) -> Entity | None:
        """The entity remembered by that key, if the disk says that it is still what it was.

        The disk is asked once a round of requests (see Request): all of them had come before.
        """
        entity = self._known.get(key)
        if entity is None:
            return None
        if in_round and entity.round == in_round and entity.looks == self.looks:
            return entity
        try:
            unchanged = entity.is_still(stat(entity.location))
        except OSError:
            unchanged = False
        if unchanged and (entity.looks == self.looks or self._nothing_new(entity, stat)):
            entity.used = True
            entity.round = in_round
            return entity
        self._drop(key)
        return None

    def _nothing_new(self, entity: Entity, stat: Callable[[bytes], os.stat_result]) -> bool:
        """Whether what lies beside the file is what lay there before, if that is of interest."""
        entity.looks = self.looks
        return entity.beside is None or siblings(entity.location, stat) == entity.beside

    def load(
        self,
        key: Key,
        location: bytes,
        opened: tuple[int, os.stat_result],
        fields: Iterable[tuple[str, str]],
        coding: str = "",
    ) -> Entity:
        """The entity of a regular file just opened; takes over its descriptor.  Remembered by `key` if it may be.

        `fields` are the response's field lines besides the validators; `coding` is the content's, if it has one.  The
        caller has a hold on the entity of its own, and ends it with `close()` once its response is made.  Raises
        OSError where reading fails, and Later where a big file has to be read for its tag first (see `tags`).
        """
        file = OpenFile(opened[0])
        try:
            content, status = _read(*opened)
            etag, mtime = self._validators(file.fd, status, content)
            # Two forms of one file may agree in size and time, and are different all the same (RFC 9110 §8.8.3.3).
            validators = f'{etag[:-1]}-{coding}"' if coding else etag, mtime
            entity = Entity(location, status, fields, file if content is None else content, validators)
            if self._settled(status):
                self._remember(key, entity)
        except BaseException:
            file.release()
            raise
        if content is not None:
            file.release()
        return entity

    def watch(self, entity: Entity, beside: tuple[Sibling, ...], codings: tuple[str, ...]) -> None:
        """Tell an entity what lies beside its file, and which of it may be served; from now on this is checked."""
        entity.beside, entity.codings, entity.looks = beside, codings, self.looks

    def look_again(self) -> None:
        """Have every entity, when it is next asked for, look once for what lies beside its file."""
        self.looks += 1

    def trim(self, max_open: int = 0) -> None:
        """Give descriptors back, for when they have run out elsewhere."""
        while len(self._open) > max_open:
            self._drop(_least_used(self._open))

    def clear(self) -> None:
        """Forget everything."""
        for key in list(self._known):
            self._drop(key)

    def _validators(self, fd: int, status: os.stat_result, content: bytes | None) -> tuple[str, float | None]:
        """(entity-tag, time of modification or None) for the file as it is now."""
        mtime = told_time(status, self.clock())
        if mtime is None:
            return self._tags.by_content(fd, status, content, settled=self._settled(status)), None
        return self._tags.by_time(status, content), mtime

    def _settled(self, status: os.stat_result) -> bool:
        """Whether any further change would show.  The time of status change is the kernel's: nobody can set it."""
        return self.clock() - status.st_ctime > _TICK

    def _remember(self, key: Key, entity: Entity) -> None:
        self._drop(key)
        self._known[key] = entity
        if entity.file is not None:
            entity.file.acquire()
            self._open[key] = entity
            if entity.size <= min(COPIED, self.max_bytes):
                entity.on_stream = partial(self._streamed, key)
        else:
            self.bytes_held += entity.size
        self.trim(self.max_open)
        while len(self._known) > self.max_count or self.bytes_held > self.max_bytes:
            self._drop(_least_used(self._known))

    def _drop(self, key: Key) -> None:
        entity = self._known.pop(key, None)
        if entity is None:
            return
        if self._open.pop(key, None) is None:
            self.bytes_held -= entity.size
        self._copied.pop(key, None)
        entity.on_stream = None
        if entity.file is not None:
            entity.file.release()

    # ---- copies

    def _streamed(self, key: Key, entity: Entity) -> None:
        """It is sent: the first time from the file, for most are not sent again soon; then from a copy."""
        self._streams += 1
        before, entity.streamed_at = entity.streamed_at, self._streams
        if key in self._copied:
            self._copied[key] = self._copied.pop(key)
        elif before and self._has_room(entity.size, before):
            self._copy(key, entity)

    def _has_room(self, size: int, since: int) -> bool:
        """Whether there is room for a copy, if need be that of one which was not sent since then, and nobody takes now.

        This was sent twice, and that not at all: so of many files that are sent in turn some find their copies.
        """
        if not self.copies.has_room(size):
            for key, entity in self._copied.items():
                if entity.streamed_at >= since:
                    break
                if entity.file is not None and not entity.file.shared:
                    self._drop(key)
                    break
        return self.copies.has_room(size)

    def _copy(self, key: Key, entity: Entity) -> None:
        """Have it sent from a copy, if there can be one, and it is still what was read."""
        assert entity.file is not None
        copy = self.copies.of(entity.file.fd, entity.size)
        if copy is None:
            return
        try:
            unchanged = entity.is_still(os.fstat(entity.file.fd))
        except OSError:
            unchanged = False
        if unchanged:
            entity.hold(copy)
            self._copied[key] = entity
        else:
            copy.release()


_every: weakref.WeakSet[Entities] = weakref.WeakSet()


def give_back() -> bool:
    """Close the descriptors that this process's caches keep for later; whether there were any."""
    holding = [entities for entities in list(_every) if entities._open]
    for entities in holding:
        entities.trim()
    return bool(holding)


def _least_used(queue: dict[Key, Entity]) -> Key:
    """The first in the queue that was not used since it was last looked at; the others go to the end once."""
    while True:
        key, entity = next(iter(queue.items()))
        if not entity.used:
            return key
        entity.used = False
        queue[key] = queue.pop(key)


def _read(fd: int, status: os.stat_result) -> tuple[bytes | None, os.stat_result]:
    """A small file's content, None for a bigger one's, and the status that it belongs to.

    Half of an old content and half of a new one are neither: what changed while it was read is read again.
    """
    for _ in range(_MOST_READS):
        content = _all(fd, status.st_size) if status.st_size <= SMALL else None
        now = os.fstat(fd)
        if (now.st_mtime_ns, now.st_ctime_ns, now.st_size) == (status.st_mtime_ns, status.st_ctime_ns, status.st_size):
            return content, status
        status = now
    raise OSError(errno.EBUSY, "the file changes whenever it is read")


def _all(fd: int, size: int) -> bytes:
    """The first `size` bytes, or what there is of them."""
    pieces: list[bytes] = []
    at = 0
    while at < size and (piece := os.pread(fd, size - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)
