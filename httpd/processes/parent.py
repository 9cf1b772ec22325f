"""The parent: it holds the listening sockets, forks the workers, hears their deaths and the operator's signals.

It decides nothing (`supervisor` does), serves nobody, and never imports what the workers serve: so each generation of
them has it anew.

    SIGTERM, SIGINT    all workers finish and end; a second one closes everything at once
    SIGHUP             the next generation, with configuration, certificates and application as they are now; from a
                       terminal that is gone, the same as SIGTERM
    SIGUSR1            all workers open their access logs anew
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, NoReturn

from ..net import asyncore
from ..net.channel_map import ChannelMap
from ..net.interest import interests_of
from ..net.report import Reporter
from .line import ALIVE, ASK, FAILED, LEAVING, READY, SAYS, Line
from .notify import Notifier
from .sockets import Held
from .supervisor import Supervisor
from .worker import Build, work

__all__ = ["Parent", "WorkPlan"]

logger = Reporter("httpd.processes")

# How often the workers are asked whether they live, at the most, in seconds.
_ASK_EVERY = 5.0
# How many times in the time that a worker may say nothing.
_ASK_TIMES = 4


class WorkPlan(NamedTuple):
    """A generation's plan: how many workers, where they listen, and how each makes its server."""

    workers: int
    held: Held
    build: Build
    drain_time: float
    hang_time: float


class Parent:
    """Runs the workers of a plan, and of the next one at SIGHUP.

    `make_plan(held)` makes it, the sockets that are held now being `held`, None at first; raises PlanError.  `tell`
    says a sentence to the operator.
    """

    def __init__(
        self, make_plan: Callable[[Held | None], WorkPlan], tell: Callable[[str], None], notifier: Notifier
    ) -> None:
        self._make_plan = make_plan
        self._tell = tell
        self._notifier = notifier
        self._map = ChannelMap()
        self._interests = interests_of(self._map)
        self._supervisor = Supervisor(self)
        self._lines: dict[int, Line] = {}
        self._held: Held | None = None
        self._next_held: Held | None = None
        self._said: dict[str, None] = {}
        self._ask_every = _ASK_EVERY
        self._status: int | None = None
        self._told_to_stop = False

    def run(self) -> int:
        """Run until told to stop; the exit status."""
        try:
            with self._signals():
                # What is here already stays shared with the workers.
                gc.freeze()
                self._supervisor.begin()
                while self._status is None:
                    self._turn()
        finally:
            self._end()
        return self._status or 0

    def _turn(self) -> None:
        due = self._supervisor.due()
        self._interests.turn(None if due == math.inf else max(0.0, due - self.now()), asyncore.readwrite)
        if self._supervisor.due() <= self.now():
            self._supervisor.tick()

    def _end(self) -> None:
        for pid in list(self._lines):
            self.kill(pid)
            os.waitpid(pid, 0)
        self._release()
        asyncore.close_all(self._map, ignore_all=True)
        self._interests.close()
        gc.unfreeze()

    # ---- signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        stop, reload = self._stop_soon, self._later(self._supervisor.reload)
        meanings: dict[int, Callable[[int, object], None]] = {
            signal.SIGTERM: stop,
            signal.SIGINT: stop,
            signal.SIGUSR1: self._later(self._reopen_logs),
            signal.SIGCHLD: self._later(self._reap),
        }
        # Ignored, as nohup has it, it stays so; a terminal that is gone takes its programs along.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            meanings[signal.SIGHUP] = stop if sys.stderr and sys.stderr.isatty() else reload
        before = {number: signal.signal(number, meaning) for number, meaning in meanings.items()}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    def _later(self, meaning: Callable[[], None]) -> Callable[[int, object], None]:
        """A signal handler that has the loop do it: a signal comes in the midst of anything."""
        return lambda number, frame: self._interests.call(meaning)

    def _stop_soon(self, number: int, frame: object) -> None:
        """Known at once: workers that are told together with us, as a whole group is, make way for nobody."""
        self._told_to_stop = True
        self._interests.call(self._stop)

    def _stop(self) -> None:
        self._notifier.say(STOPPING=1, STATUS="finishing the answers under way")
        # Nobody accepts any more: who comes now is to hear that at once, and not to wait until all is over.
        self._release()
        self._supervisor.stop()

    def _release(self) -> None:
        for held in (self._next_held, self._held):
            if held:
                held.release()
        self._next_held = self._held = None

    def _reopen_logs(self) -> None:
        for pid in self._supervisor.pids:
            os.kill(pid, signal.SIGUSR1)

    def _reap(self) -> None:
        for pid in list(self._lines):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                line = self._lines.pop(pid)
                # What it said last may explain its end.
                asyncore.read(line)
                line.close()
                self._supervisor.died(pid, _described(status))

    # ---- what workers say

    def _heard(self, pid: int, word: str, text: str) -> None:
        if word == READY:
            self._supervisor.ready(pid, text)
        elif word == FAILED:
            self._supervisor.failed(pid, text)
        elif word == ALIVE:
            self._supervisor.alive(pid)
        elif word == LEAVING and not self._told_to_stop:
            self._supervisor.leaving(pid)
        elif word == SAYS and text not in self._said and len(self._said) < 100:
            # All of them find the same; and where the server is comes first.
            self._said[text] = None
            if self._held:
                self._tell(text)

    def _ask(self) -> None:
        """Ask the workers whether they live, and tell the service manager that some did lately."""
        self._supervisor.ask()
        if self._notifier.watchdog and self._supervisor.answered_since(self.now() - 2 * self._ask_every):
            self._notifier.say(WATCHDOG=1)
        self._interests.call_later(self._ask_every, self._ask)

    # ---- the world, as the supervisor has it

    def now(self) -> float:
        return time.monotonic()

    def plan(self) -> WorkPlan:
        self._said.clear()
        if self._held:
            self._notifier.reloading()
        plan = self._make_plan(self._held)
        self._next_held = plan.held
        return plan

    def start(self, plan: WorkPlan) -> int:
        ours, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
        with _held_back(), theirs:
            pid = os.fork()
            if not pid:
                ours.close()
                self._be_worker(plan, theirs)
            self._lines[pid] = Line(ours, self._map, partial(self._heard, pid), _unheeded)
        return pid

    def _be_worker(self, plan: WorkPlan, parent: socket.socket) -> NoReturn:
        """In the child: let go what is the parent's, work, and never come back."""
        status = 1
        try:
            # A copy of another worker's line would keep it open when the parent is gone.
            asyncore.close_all(self._map, ignore_all=True)
            self._interests.close()
            # A copy of a socket that goes with the next reload would take connections that nobody accepts.
            for held in (self._held, self._next_held):
                if held and held is not plan.held:
                    held.let_go()
            status = work(plan.build, plan.held.sockets, parent)
            atexit._run_exitfuncs()
        except Exception:
            logger.exception("a worker failed")
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            os._exit(status)

    def ask(self, pid: int) -> None:
        self._lines[pid].say(ASK)

    def retire(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)

    def finish(self, pid: int) -> None:
        os.kill(pid, signal.SIGUSR2)

    def close(self, pid: int) -> None:
        os.kill(pid, signal.SIGQUIT)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def say(self, sentence: str) -> None:
        self._tell(sentence)
        self._notifier.say(STATUS=sentence)

    def serving(self, plan: WorkPlan, greeting: str) -> None:
        before, self._held, self._next_held = self._held, plan.held, None
        shortest = min(plan.hang_time, self._notifier.watchdog or math.inf)
        self._ask_every = min(_ASK_EVERY, shortest / _ASK_TIMES)
        by = f"with {plan.workers} workers" if plan.workers > 1 else "with one worker"
        if before:
            before.release(plan.held)
            self._tell(f"reloaded, serving at {greeting} {by}")
        else:
            self._tell(f"serving at {greeting} {by} (Ctrl-C stops)")
            for text in self._said:
                self._tell(text)
            self._ask()
        self._notifier.say(READY=1, STATUS=f"serving at {greeting} {by}")

    def refused(self, why: str) -> None:
        if self._next_held:
            self._next_held.release(self._held)
            self._next_held = None
        self._tell(f"not reloaded, and the old workers serve on: {why}")
        self._notifier.say(READY=1, STATUS=f"not reloaded: {why}")

    def end(self, status: int) -> None:
        if self._status is None:
            self._status = status


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """No signal is handled meanwhile; a child begins so, and says when it is ready for them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unheeded() -> None:
    """The end of a line says nothing that the end of its process does not say better."""


def _described(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
