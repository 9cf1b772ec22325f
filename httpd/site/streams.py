"""Content that a thread makes while the loop sends it, and not much faster.

A WSGI application's is such, and that of a generator which a blocking handler returns: where the client takes it more
slowly than it is made, the thread waits; when the client has gone, it is told by an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..net.producers import Broken, close_producer, feed_producer, finish_producer, stall_producer
from ..net.report import Reporter
from ..protocol.errors import Blocking
from ..protocol.message import Content, Response

__all__ = ["Stream", "answer_from_thread"]

logger = Reporter("httpd.site")

# How much content is held for a client that does not take it: less would have the thread woken for every packet.
_HELD = 262_144


class Stream:
    """What passes from the thread to the loop; `gone` says that nobody takes it any more."""

    def __init__(self) -> None:
        self._feed = feed_producer()
        self._changed = threading.Condition()
        self._held = 0
        self._failed = False
        self._roused = False
        self._content: Content | None = None
        self.gone = False

    # in the thread

    def put(self, data: bytes) -> None:
        """Give this next, when there is room.  Raises ConnectionAbortedError when nobody takes it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self.gone or self._held < _HELD)
            self._check()
            self._held += len(data)
        self._feed.put(data)

    def put_all(self, content: Content) -> None:
        """Give all that a generator makes, waiting here for what it waits for.  Raises what it raises, and as `put`."""
        self._content = content
        while (data := content.more()) != b"":
            if data is None:
                self._wait(content)
            else:
                self.put(data)
        self.end()

    def _wait(self, content: Content) -> None:
        """Wait until content that had nothing yet may have something."""
        self._roused = False
        seconds = stall_producer(content, self._rouse)
        with self._changed:
            self._changed.wait_for(lambda: self.gone or self._roused, seconds)
            self._check()

    def _rouse(self) -> None:
        with self._changed:
            self._roused = True
            self._changed.notify()

    def _check(self) -> None:
        if self.gone:
            raise ConnectionAbortedError("the client has gone")

    def end(self) -> None:
        """What was put is all."""
        self._feed.finish()

    def fail(self) -> None:
        """There will not be more, and what there was is not all."""
        self._failed = True
        self.end()

    # in the loop

    def more(self) -> bytes | None:
        """What was put since it was asked last.  Raises Broken at the end where that came too early."""
        data = self._feed.more()
        if data:
            with self._changed:
                self._held -= len(data)
                self._changed.notify()
        elif data is not None and self._failed:
            raise Broken(None, "its application has failed")
        return data

    def stalled(self, wake: Callable[[], object]) -> None:
        """There was nothing: call `wake()` when there is."""
        self._feed.stalled(wake)

    def finish(self) -> None:
        """The server stops: what can come to an end does."""
        finish_producer(self._content)

    def close(self) -> None:
        """Nobody will ask for more."""
        self._feed.close()
        with self._changed:
            self.gone = True
            self._changed.notify()


def answer_from_thread(later: Blocking, response: Response) -> None:
    """Hand over what a blocking handler has come to; what its generator makes is made here, in the thread.

    What goes wrong after the head was sent cuts the connection, and is told in the log.
    """
    content = response.body
    if isinstance(content, bytes) or not getattr(content, "by_generator", False):
        later.answer(response)
        return
    stream = Stream()
    later.answer(Response(stream, response.status, response.headers, length=response.length))
    try:
        stream.put_all(content)
    except BaseException as error:
        # sys.exit(), too, ends the content and not the thread.
        if not (stream.gone and isinstance(error, ConnectionAbortedError)):
            logger.error("making content in a thread failed", exc_info=error)
        stream.fail()
    finally:
        close_producer(content)
