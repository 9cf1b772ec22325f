"""Which workers there should be: decided here, done by whoever has processes.

No process, no clock and no signal is known here.  The *world* starts and ends workers and is told what to say; it tells
the supervisor what became of them, and calls `tick()` when `due()` has come.

The workers of one *generation* were started for the same plan.  A reload starts the next one beside the one that
serves; when all of it is ready, it serves, and the old one retires.  If any of it fails, it is ended, and the old one
serves on.  A worker that serves and dies is replaced, at once if it had served for a while, else after a pause that
doubles.  Three that fail in a row while nobody serves end it all: whoever started us must see that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Plan", "PlanError", "Supervisor", "World"]

# A worker that has served so long has not died of how it was started, in seconds.
_STEADY = 10.0
# The first pause before a worker is replaced that has not, and the longest, in seconds.
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
# So many workers in a row may fail, the last to be started of them while nobody serves.
_MOST_FAILURES = 3
# How long a worker may take until it is ready: an application may be slow to import.
_START_TIME = 120.0
# What a worker has beyond the time that it takes to drain, before it is killed.
_GRACE = 5.0
# So many times as many workers as serve may be retiring: the next reload waits for them.
_MOST_RETIRING = 3


class PlanError(Exception):
    """The next generation cannot even be planned; the text says why."""


class Plan(Protocol):
    """What a generation is made of; the world knows more of it."""

    @property
    def workers(self) -> int:
        """How many there are to be."""

    @property
    def drain_time(self) -> float:
        """How long a worker may take to finish what it answers, in seconds."""

    @property
    def hang_time(self) -> float:
        """How long a worker may say nothing before it is killed, in seconds."""


class World(Protocol):
    """What the supervisor needs of the world."""

    def now(self) -> float:
        """The time, in seconds that never go back."""

    def plan(self) -> Any:
        """What the next generation is to be: a Plan.  Raises PlanError."""

    def start(self, plan: Any) -> int:
        """Start a worker; its process id.  Raises OSError."""

    def ask(self, pid: int) -> None:
        """Ask a worker whether it lives; `alive()` is its answer."""

    def retire(self, pid: int) -> None:
        """Have a worker finish what it answers, and end."""

    def finish(self, pid: int) -> None:
        """Have a worker finish what it answers, and end, with nobody to go on in its place."""

    def close(self, pid: int) -> None:
        """Have a worker close everything and end, at once."""

    def kill(self, pid: int) -> None:
        """End a worker that does not hear any more."""

    def say(self, sentence: str) -> None:
        """Tell the operator."""

    def serving(self, plan: Any, greeting: str) -> None:
        """This plan is the one that serves from now on, and no older one is needed."""

    def refused(self, why: str) -> None:
        """The reload has failed, and the plan that served serves on."""

    def end(self, status: int) -> None:
        """All is over; the exit status."""


@dataclass
class _Worker:
    """A process.  `deadline` is when it is killed, and `late` what is said of it then."""

    deadline: float
    late: str
    ready: float | None = None
    heard: float = 0.0
    why: str = ""


@dataclass
class _Generation:
    plan: Any
    workers: dict[int, _Worker] = field(default_factory=dict)


class Supervisor:
    """Keeps the workers of a plan; see the module's text."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._serving: _Generation | None = None
        self._coming: _Generation | None = None
        self._retiring: dict[int, _Worker] = {}
        self._asked_again = False  # for a reload, while one is under way
        self._failures = 0  # in a row
        self._start_from = 0.0  # no worker is replaced before
        self._stopping = 0
        self._ended = False

    # ---- what is seen from outside

    @property
    def pids(self) -> list[int]:
        """Every worker that is not known to have died."""
        return [*self._retiring, *(pid for generation in self._generations for pid in generation.workers)]

    @property
    def at_work(self) -> int:
        """How many workers serve."""
        workers = self._serving.workers.values() if self._serving else ()
        return sum(worker.ready is not None for worker in workers)

    def answered_since(self, when: float) -> bool:
        """Whether any worker that serves has been heard of since then."""
        workers = self._serving.workers.values() if self._serving else ()
        return any(worker.heard >= when for worker in workers)

    # ---- what the operator wants

    def begin(self) -> None:
        """Start the first generation."""
        try:
            self._bring_up(self._world.plan())
        except PlanError as why:
            self._give_up(str(why))

    def reload(self) -> None:
        """Bring up the next generation; while one comes, or too many retire, this waits."""
        if self._stopping:
            return
        if self._coming or not self._serving or self._crowded():
            self._asked_again = True
            return
        self._asked_again = False
        try:
            plan = self._world.plan()
        except PlanError as why:
            self._world.refused(str(why))
        else:
            self._bring_up(plan)

    def stop(self) -> None:
        """Have all workers finish and end; called again, have them close everything."""
        self._stopping += 1
        for generation in self._generations:
            self._end_all(generation, self._world.finish)
        self._serving = self._coming = None
        if self._stopping > 1:
            for pid, worker in self._retiring.items():
                worker.deadline = min(worker.deadline, self._world.now() + _GRACE)
                self._world.close(pid)
        self._settle()

    # ---- what became of workers

    def ready(self, pid: int, greeting: str) -> None:
        """A worker listens; `greeting` says where."""
        for generation in self._generations:
            if worker := generation.workers.get(pid):
                worker.ready = worker.heard = self._world.now()
                worker.deadline = math.inf
        if self._coming and all(worker.ready is not None for worker in self._coming.workers.values()):
            self._take_over(greeting)
        self._settle()

    def alive(self, pid: int) -> None:
        """A worker's loop has come round."""
        worker = self._serving.workers.get(pid) if self._serving else None
        if worker:
            worker.heard = self._world.now()
            worker.deadline = math.inf

    def leaving(self, pid: int) -> None:
        """A worker makes way; where it was not we who told it, another takes its place while it still answers."""
        if self._serving and pid in self._serving.workers:
            self._retires(pid, self._serving.workers.pop(pid), self._serving.plan)
            if self._crowded():
                # Whoever ends one after the other so fast, an application that ends itself, say, is made to wait.
                self._start_from = self._world.now() + _PAUSE
            self._world.say(f"worker {pid} was told to end; another is started")
            self._settle()

    def failed(self, pid: int, why: str) -> None:
        """A worker says why it cannot start; it will be dead soon."""
        for generation in self._generations:
            if worker := generation.workers.get(pid):
                worker.why = why

    def died(self, pid: int, how: str) -> None:
        """A worker is no more; `how` goes on after "worker 123"."""
        self._retiring.pop(pid, None)
        if self._coming and pid in self._coming.workers:
            worker = self._coming.workers.pop(pid)
            self._give_up_coming(worker.why or f"a worker {how} before it was ready")
        elif self._serving and pid in self._serving.workers:
            self._lost(pid, self._serving.workers.pop(pid), how)
        self._settle()

    # ---- time

    def ask(self) -> None:
        """Ask every worker that serves whether it lives, unless it owes an answer already."""
        if not self._serving:
            return
        patience = self._serving.plan.hang_time
        for pid, worker in self._serving.workers.items():
            if worker.deadline == math.inf:
                # Counted from here: whoever was stopped as a whole, we with it, has not kept us waiting.
                worker.deadline = self._world.now() + patience
                worker.late = f"has not answered for {patience:g} seconds"
                self._world.ask(pid)

    def due(self) -> float:
        """When `tick()` has something to do at the latest."""
        workers = [*self._retiring.values()]
        for generation in self._generations:
            workers += generation.workers.values()
        return min([worker.deadline for worker in workers] + [self._start_from if self._wanted() else math.inf])

    def tick(self) -> None:
        """Do what time has brought: kill who is late, replace who has died."""
        now = self._world.now()
        for workers in [*(generation.workers for generation in self._generations), self._retiring]:
            for pid, worker in list(workers.items()):
                if now >= worker.deadline:
                    worker.deadline = now + _GRACE
                    self._world.say(f"worker {pid} {worker.late}, and is killed")
                    self._world.kill(pid)
        self._settle()

    # ---- inside

    @property
    def _generations(self) -> list[_Generation]:
        return [generation for generation in (self._serving, self._coming) if generation]

    def _bring_up(self, plan: Plan) -> None:
        self._coming = _Generation(plan)
        try:
            for _ in range(plan.workers):
                self._start_one(self._coming)
        except OSError as why:
            self._give_up_coming(f"a worker cannot be started: {why.strerror or why}")

    def _start_one(self, generation: _Generation) -> None:
        worker = _Worker(self._world.now() + _START_TIME, f"was not ready within {_START_TIME:g} seconds")
        generation.workers[self._world.start(generation.plan)] = worker

    def _take_over(self, greeting: str) -> None:
        """The generation that was to come serves; the one before it retires."""
        before, self._serving, self._coming = self._serving, self._coming, None
        assert self._serving is not None
        self._failures = 0
        if before:
            self._end_all(before, self._world.retire)
        self._world.serving(self._serving.plan, greeting)

    def _give_up_coming(self, why: str) -> None:
        coming, self._coming = self._coming, None
        assert coming is not None
        self._end_all(coming, self._world.retire)
        for pid in coming.workers:
            self._world.kill(pid)
        if self._serving:
            self._world.refused(why)
        else:
            self._give_up(why)

    def _lost(self, pid: int, worker: _Worker, how: str) -> None:
        """One that served, or was to, is dead: when is it replaced?"""
        now = self._world.now()
        if worker.ready is not None and now - worker.ready >= _STEADY:
            self._failures = 0
        pause = min(_LONGEST_PAUSE, _PAUSE * 2 ** (self._failures - 1)) if self._failures else 0.0
        self._failures += 1
        self._start_from = now + pause
        told = how if worker.ready is not None else f"did not start: {worker.why or how}"
        if self._failures >= _MOST_FAILURES and worker.ready is None and not self.at_work:
            self._give_up(f"worker {pid} {told}; that is failure {self._failures} in a row, and nobody serves")
        elif self._coming:
            self._world.say(f"worker {pid} {told}")
        else:
            then = f"in {pause:g} seconds" if pause else "now"
            self._world.say(f"worker {pid} {told}; another is started {then}")

    def _settle(self) -> None:
        """See to what is missing, and to what waited."""
        if self._stopping:
            if not self.pids:
                self._end(0)
            return
        if self._wanted() and self._world.now() >= self._start_from:
            self._replace()
        if self._asked_again and not self._coming and not self._crowded():
            self.reload()

    def _replace(self) -> None:
        assert self._serving is not None
        try:
            for _ in range(self._wanted()):
                self._start_one(self._serving)
        except OSError as why:
            self._start_from = self._world.now() + _LONGEST_PAUSE
            self._world.say(f"a worker cannot be started: {why.strerror or why}; the next try is in 30 seconds")

    def _wanted(self) -> int:
        """How many workers are to be started as soon as the pause is over."""
        # While a generation comes, nobody is started for the one that it is to replace.
        if not self._serving or self._coming:
            return 0
        workers = self._serving.workers.values()
        missing: int = self._serving.plan.workers - len(workers)
        if self._failures > 1 and missing:
            # Where starts fail they are tried one after the other.
            return int(all(worker.ready is not None for worker in workers))
        return missing

    def _crowded(self) -> bool:
        most = _MOST_RETIRING * self._serving.plan.workers if self._serving else 0
        return len(self._retiring) >= most > 0

    def _retires(self, pid: int, worker: _Worker, plan: Plan) -> None:
        worker.deadline = self._world.now() + plan.drain_time + _GRACE
        worker.late = "does not end"
        self._retiring[pid] = worker

    def _end_all(self, generation: _Generation, end: Callable[[int], None]) -> None:
        for pid, worker in generation.workers.items():
            self._retires(pid, worker, generation.plan)
            end(pid)

    def _give_up(self, why: str) -> None:
        self._serving = None
        self._stopping = 1
        self._world.say(why)
        self._end(1)

    def _end(self, status: int) -> None:
        if not self._ended:
            self._ended = True
            self._world.end(status)
