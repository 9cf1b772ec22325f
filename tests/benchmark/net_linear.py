"""What grows with what in asyncore and asynchat: `python -m tests.benchmark.net_linear`.

Each figure is the least CPU time of several runs, for our modules and, on Python 3.11, for the standard library's.

Twice the work should take twice the time: the last column says how the cost of one unit grew over the sizes.
"""

from __future__ import annotations

import importlib
import socket
import time
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ..scripted import ScriptedSocket

Work = Callable[[Any, int], Callable[[], None]]


def pairs() -> dict[str, Any]:
    """The pairs of modules there are, by name."""
    found = {"ours": "httpd.net."}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            importlib.import_module("asyncore")
            found["3.11's"] = ""
        except ImportError:
            pass
        return {
            name: SimpleNamespace(
                **{part: importlib.import_module(package + part) for part in ("asyncore", "asynchat")}
            )
            for name, package in found.items()
        }


def silent(net: Any) -> Any:
    """A class of async_chat that hears lines and says nothing."""

    class Silent(net.asynchat.async_chat):  # type: ignore[misc]
        ac_in_buffer_size = 1 << 24
        terminator = b"\n"

        def collect_incoming_data(self, data: bytes) -> None: ...
        def found_terminator(self) -> None: ...

    return Silent


def short_lines(net: Any, size: int) -> Callable[[], None]:
    """So many lines of two bytes in one piece."""
    data = b"ab\n" * size
    return lambda: silent(net)(ScriptedSocket([data]), {}).handle_read()


def small_sends(net: Any, size: int) -> Callable[[], None]:
    """One piece from a producer, taken by the kernel in so many sends of 1,000 bytes."""
    data = b"z" * (size * 1000)

    def work() -> None:
        channel = silent(net)(ScriptedSocket(takes=[1000] * size), {})
        channel.push_with_producer(net.asynchat.simple_producer(data, len(data)))
        while channel.producer_fifo:
            channel.handle_write()

    return work


def simple_producers(net: Any, size: int) -> Callable[[], None]:
    """The documented producer, asked for so many pieces of 512 bytes."""
    data = b"z" * (size * 512)

    def work() -> None:
        producer = net.asynchat.simple_producer(data)
        while producer.more():
            pass

    return work


def simple_buffers(net: Any, size: int) -> Callable[[], None]:
    """The buffer of dispatcher_with_send, taken by the kernel in so many sends of 1,000 bytes."""
    data = b"z" * (size * 1000)

    def work() -> None:
        channel = net.asyncore.dispatcher_with_send(ScriptedSocket(takes=[1000] * size), {})
        channel.send(data)
        for _ in range(size - 1):
            channel.handle_write()

    return work


def idle_channels(net: Any, size: int) -> Callable[[], None]:
    """A hundred passes of the loop over so many channels of which one has something to read."""
    channels: dict[int, Any] = {}
    ends = [socket.socketpair() for _ in range(size)]
    for ours, _ in ends:
        silent(net)(ours, channels)
    net.asyncore.loop(timeout=0, use_poll=True, map=channels, count=1)

    def work() -> None:
        for _ in range(100):
            ends[0][1].send(b"\n")
            net.asyncore.loop(timeout=1, use_poll=True, map=channels, count=1)

    work.ends = ends  # type: ignore[attr-defined]
    return work


def echoes(net: Any, size: int) -> Callable[[], None]:
    """So many lines, one a pass, each answered by a push."""
    ours, theirs = socket.socketpair()
    channels: dict[int, Any] = {}

    class Echo(silent(net)):  # type: ignore[misc]
        ac_in_buffer_size = 65536

        def found_terminator(self) -> None:
            self.push(b"answer\n")

    Echo(ours, channels)

    def work() -> None:
        for _ in range(size):
            theirs.send(b"question\n")
            net.asyncore.loop(timeout=1, use_poll=True, map=channels, count=1)
            theirs.recv(100)

    work.ends = [(ours, theirs)]  # type: ignore[attr-defined]
    return work


WORKS: dict[str, tuple[Work, list[int], str]] = {
    "short lines in one piece": (short_lines, [10_000, 20_000, 40_000, 80_000], "line"),
    "one piece in small sends": (small_sends, [500, 1000, 2000, 4000], "send"),
    "the documented producer": (simple_producers, [2000, 4000, 8000, 16_000], "piece"),
    "the simple output buffer": (simple_buffers, [500, 1000, 2000, 4000], "send"),
    "passes over idle channels": (idle_channels, [50, 100, 200, 400], "100 passes"),
    "question and answer": (echoes, [1000, 2000, 4000, 8000], "exchange"),
}


def cost(work: Callable[[], None], runs: int = 3) -> float:
    """The least CPU seconds of these runs."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    for ends in getattr(work, "ends", ()):
        for sock in ends:
            sock.close()
    return min(times)


def main() -> None:
    """Print the table."""
    for title, (make, sizes, unit) in WORKS.items():
        print(f"\n{title}: microseconds of CPU a {unit}")
        print(" " * 10 + "".join(f"{size:>12,}" for size in sizes) + f"{'grew by':>12}")
        for name, net in pairs().items():
            each = [cost(make(net, size)) * 1e6 / (1 if unit == "100 passes" else size) for size in sizes]
            print(f"{name:10}" + "".join(f"{one:12.2f}" for one in each) + f"{each[-1] / each[0]:11.1f}x")


if __name__ == "__main__":
    main()
