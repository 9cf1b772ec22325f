"""What sending comes to, and how long it may take."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from .plain import plain_line

__all__ = ["ALL", "STEP", "Failed", "GivenUp", "Unreached", "bounded", "described"]

# How long the other side may be silent, and how long all of it may take, in seconds.
STEP = 15.0
ALL = 60.0


class Failed(Exception):
    """It has not arrived; the text says why, without anything secret.  `retry_after` is for how many seconds at least
    the other side wants to be left alone."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Unreached(Failed):
    """Nobody was there, or nobody answered in time: others on their way to the same target would fare alike."""


class GivenUp(Exception):
    """It will not arrive, however often it is tried; the text says why."""


@contextlib.contextmanager
def bounded(sock: Callable[[], socket.socket | None], seconds: float = ALL) -> Iterator[None]:
    """Cut a conversation that takes too long: a byte now and then would keep every single time-out from passing.

    `sock()` is the socket, as soon as there is one.  What fails in the block after the cut raises Unreached.
    """
    done, cut = threading.Event(), threading.Event()

    def watch() -> None:
        wait = seconds
        # Again: the socket may not have been there.
        while not done.wait(wait):
            wait = 0.5
            cut.set()
            if (found := sock()) is not None:
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which would pull the engine out from under the other thread.
                    socket.socket.shutdown(found, socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, name="httpd-outbox-watch", daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if cut.is_set():
            raise Unreached(f"it took longer than {seconds:g} s") from error
        raise
    finally:
        done.set()
        watcher.join()


def described(error: Exception) -> str:
    """What the system, or a library, says of a conversation that failed; it may quote the other side."""
    return plain_line(getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")
