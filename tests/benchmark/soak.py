"""`python -m tests.benchmark.soak [--minutes 30]`: good, slow and hostile clients for a while; then, what has leaked.

Phases: the good clients alone (quiet) and with 2,000 slow ones that hang on (slow), by turns; then with the hostile
ones too (all).
It ends with status 1 when a good client missed a byte; when a descriptor, a timer or a channel is left; when memory
grew after the first third; or when the good clients' p99 beside the slow ones is over three times the quiet one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from ctypes import c_int
from pathlib import Path
from typing import Any

from .soak_clients import STOP, Turned, Wire, changing, good, slow
from .soak_hostile import hostile
from .soak_site import FILES, lay_out, serve

_spawn = multiprocessing.get_context("spawn")

QUIET, SLOW, ALL = 1, 2, 3
# How often the quiet and the slow phase take turns: what else the machine does meets both alike.
_ROUNDS = 3
# How many slow clients come in a second, at the least.
_ARRIVALS = 200
# Good clients, each a process.
_GOOD = 3
# Between the first third of the run and its end; caches that are still being filled take some of it.
_MOST_GROWTH_KB = 2_048
# Before this, in minutes, memory still grows to what the crowds need at most.
_GROWN = 6.0
# How much longer the good clients' slowest answers may take beside the slow clients.
_MOST_SLOWDOWN = 3.0


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="httpd-soak-") as scratch:
        folder = Path(scratch) / "www"
        folder.mkdir()
        lay_out(folder)
        return Soak(folder, options.minutes, options.slow).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long in all (default: %(default)s)")
    parser.add_argument("--slow", type=int, default=2_000, help="how many slow clients (default: %(default)s)")
    return parser.parse_args()


class Crowd:
    """Clients in a process of their own, until the phase is STOP."""

    def __init__(self, run: Callable[..., None], port: int, *more: object) -> None:
        self.name = run.__name__
        self.phase: c_int = _spawn.Value("i", 0, lock=False)
        self._pipe, end = _spawn.Pipe()
        self._process = _spawn.Process(target=run, args=(port, self.phase, end, *more), daemon=True)
        self._process.start()
        end.close()

    def stop(self) -> dict[str, Any]:
        """End it; its figures."""
        self.phase.value = STOP
        figures: dict[str, Any] = self._pipe.recv()
        self._process.join()
        return figures


class Soak:
    def __init__(self, folder: Path, minutes: float, slow_crowd: int) -> None:
        self.folder = folder
        self.seconds = minutes * 60
        self.slow_crowd = slow_crowd
        self.memory: list[tuple[float, int]] = []
        self.figures: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[str] = []

    def run(self) -> int:
        mine, end = _spawn.Pipe()
        server = _spawn.Process(target=serve, args=(self.folder, end))
        server.start()
        assert server.pid
        self.pid, self.port = server.pid, mine.recv()
        before = self._warm_up()
        self.began = time.monotonic()
        self._phases()
        after = self._settled(before)
        os.kill(self.pid, signal.SIGTERM)
        server.join(20)
        self._judge(before, after, server.exitcode)
        for fault in self.faults:
            print("FAULT:", fault)
        print("the soak", "failed" if self.faults else "passed")
        return 1 if self.faults else 0

    # ---- the run

    def _phases(self) -> None:
        """Quiet and slow by turns, for a fifth of the time or three minutes; then all, to the end."""
        part = min(180.0, self.seconds / 5) / (2 * _ROUNDS)
        crowds = [Crowd(good, self.port) for _ in range(_GOOD)]
        for _ in range(_ROUNDS):
            self._last(part, QUIET, crowds)
            hanging = Crowd(slow, self.port, self.slow_crowd)
            self._last(self.slow_crowd / _ARRIVALS, 0, [*crowds, hanging])
            self._last(part, SLOW, [*crowds, hanging])
            self.figures.append((hanging.name, hanging.stop()))
        crowds.append(Crowd(slow, self.port, self.slow_crowd))
        crowds += [Crowd(hostile, self.port), Crowd(hostile, self.port)]
        crowds.append(Crowd(changing, self.port, str(self.folder / "changing.bin")))
        self._last(self.began + self.seconds - time.monotonic(), ALL, crowds)
        self.figures += [(crowd.name, crowd.stop()) for crowd in reversed(crowds)]

    def _last(self, seconds: float, phase: int, crowds: list[Crowd]) -> None:
        for crowd in crowds:
            crowd.phase.value = phase
        end = time.monotonic() + seconds
        before, began = self._ask_figures(), time.monotonic()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 30))
            now = self._ask_figures()
            self.memory.append(((time.monotonic() - self.began) / 60, now["resident"]))
            self._rotate_log()
        used = (self._ask_figures()["processor"] - before["processor"]) / (time.monotonic() - began)
        print(
            f"{(time.monotonic() - self.began) / 60:5.1f} min  phase {('-', 'quiet', 'slow', 'all')[phase]:6}"
            f" {now['channels']:5} channels  {now['descriptors']:5} descriptors  {now['timers']:5} timers"
            f"  {now['resident']:,} KB  {100 * used:.0f} % of a core",
            flush=True,
        )

    def _rotate_log(self) -> None:
        log = self.folder.parent / "access.log"
        if log.exists():
            os.replace(log, log.with_suffix(".old"))
        os.kill(self.pid, signal.SIGUSR1)

    def _warm_up(self) -> dict[str, Any]:
        """Ask for everything once; the server's figures then."""
        for name in FILES:
            wire = Wire(self.port)
            with wire.sock:
                wire.ask(f"GET /files/{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode("ascii"))
        time.sleep(0.5)
        return self._ask_figures()

    def _settled(self, before: dict[str, Any]) -> dict[str, Any]:
        """The figures once the server has seen everybody go, or after its longest patience."""
        end = time.monotonic() + 30
        while (now := self._ask_figures())["channels"] > before["channels"] and time.monotonic() < end:
            time.sleep(1)
        return now

    def _ask_figures(self) -> dict[str, Any]:
        for _ in range(100):
            try:
                wire = Wire(self.port)
                with wire.sock:
                    # Twice: in its first turn a connection may have no timer of its own yet, which would be counted.
                    for _ in range(2):
                        found: dict[str, Any] = json.loads(wire.ask(b"GET /figures HTTP/1.1\r\nHost: a\r\n\r\n")[2])
                return found
            except (Turned, ValueError):
                time.sleep(0.1)
        raise RuntimeError("the server turns everybody away")

    # ---- the verdict

    def _judge(self, before: dict[str, Any], after: dict[str, Any], status: int | None) -> None:
        for name in ("descriptors", "timers", "channels"):
            print(f"{name}: {before[name]} before, {after[name]} after")
            if after[name] > before[name]:
                self.faults.append(f"{after[name] - before[name]} {name} leaked")
        if status:
            self.faults.append(f"the server ended with status {status}")
        self._judge_memory(before, after)
        self._judge_clients()

    def _judge_memory(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        shown = self.memory[:: max(1, len(self.memory) // 12)]
        print(f"resident KB: {before['resident']:,} before, {after['resident']:,} after")
        print("in time:", ", ".join(f"{memory:,} ({minute:.0f} min)" for minute, memory in shown))
        later = [(minute, memory) for minute, memory in self.memory if minute > max(_GROWN, self.seconds / 180)]
        growth = _slope(later) * (later[-1][0] - later[0][0]) if len(later) > 2 else 0.0
        print(f"resident after the first third, or {_GROWN:.0f} minutes: {growth:+,.0f} KB")
        if growth > _MOST_GROWTH_KB:
            self.faults.append(f"memory grew by {growth:,.0f} KB after the first third")

    def _judge_clients(self) -> None:
        times: dict[int, list[float]] = {QUIET: [], SLOW: [], ALL: []}
        counts: dict[str, Counter[str]] = {}
        most = 0
        for name, figures in self.figures:
            counts[name] = counts.get(name, Counter()) + figures["count"]
            self.faults += [f"{name}: {failure}" for failure in figures["failures"]]
            most = max(most, figures.get("most", 0))
            for phase, taken in figures.get("times", {}).items():
                times.setdefault(phase, []).extend(taken)
        for name, count in counts.items():
            print(f"{name}: " + ", ".join(f"{what} {number:,}" for what, number in sorted(count.items())))
        print(f"slow clients at once: {most:,} at most")
        quiet, beside, among = (_percentile(times[phase]) for phase in (QUIET, SLOW, ALL))
        print(
            f"p99 of the good clients: {quiet:.2f} ms quiet, {beside:.2f} ms beside the slow ({beside / quiet:.2f}x),"
            f" {among:.2f} ms among all"
        )
        if beside > _MOST_SLOWDOWN * quiet:
            self.faults.append(f"p99 beside the slow clients is {beside / quiet:.1f} times the quiet one")


def _percentile(taken: list[float], share: float = 0.99) -> float:
    """In milliseconds; 0 where nothing was measured."""
    return 1000 * sorted(taken)[int(share * len(taken))] if taken else 0.0


def _slope(points: list[tuple[float, int]]) -> float:
    """The least squares line's, in KB a minute."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


if __name__ == "__main__":
    sys.exit(main())
