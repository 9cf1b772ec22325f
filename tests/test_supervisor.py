"""Which workers there are to be, in a world whose clock and processes are scripted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest

from httpd.processes.supervisor import PlanError, Supervisor


class Plan(NamedTuple):
    name: str = "first"
    workers: int = 2
    drain_time: float = 10.0
    hang_time: float = 60.0


class Scripted:
    """A world where a worker is a number and time is what the test says.  `done` is what it was told to do."""

    def __init__(self, *plans: Plan | str) -> None:
        self.plans = list(plans or [Plan()])
        self.clock = 1000.0
        self.done: list[str] = []
        self.status: int | None = None
        self.pids = 0
        self.cannot_fork = False
        self.supervisor = Supervisor(self)
        self.supervisor.begin()

    # ---- what the supervisor asks for

    def now(self) -> float:
        return self.clock

    def plan(self) -> Plan:
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        if isinstance(plan, str):
            raise PlanError(plan)
        return plan

    def start(self, plan: Plan) -> int:
        if self.cannot_fork:
            raise OSError(11, "Resource temporarily unavailable")
        self.pids += 1
        self.done.append(f"start {self.pids} {plan.name}")
        return self.pids

    def ask(self, pid: int) -> None:
        self.done.append(f"ask {pid}")

    def retire(self, pid: int) -> None:
        self.done.append(f"retire {pid}")

    def finish(self, pid: int) -> None:
        self.done.append(f"finish {pid}")

    def close(self, pid: int) -> None:
        self.done.append(f"close {pid}")

    def kill(self, pid: int) -> None:
        self.done.append(f"kill {pid}")

    def say(self, sentence: str) -> None:
        self.done.append(f"say {sentence}")

    def serving(self, plan: Plan, greeting: str) -> None:
        self.done.append(f"serving {plan.name} {greeting}")

    def refused(self, why: str) -> None:
        self.done.append(f"refused {why}")

    def end(self, status: int) -> None:
        self.done.append("end")
        self.status = status

    # ---- what the test does

    def does(self, act: Callable[..., object], *args: object) -> list[str]:
        """What the supervisor does in answer."""
        self.done.clear()
        act(*args)
        return list(self.done)

    def ready(self, *pids: int) -> list[str]:
        return self.does(lambda: [self.supervisor.ready(pid, "here") for pid in pids])

    def dies(self, *pids: int, how: str = "was killed by SIGKILL") -> list[str]:
        return self.does(lambda: [self.supervisor.died(pid, how) for pid in pids])

    def passes(self, seconds: float) -> list[str]:
        """Time passes; the supervisor is called whenever it wanted to be."""

        def pass_() -> None:
            end = self.clock + seconds
            for _ in range(1000):
                due = self.supervisor.due()
                if due > end:
                    self.clock = end
                    return
                self.clock = max(self.clock, due)
                self.supervisor.tick()
            raise AssertionError("it is called again and again")

        return self.does(pass_)

    def reload(self) -> list[str]:
        return self.does(self.supervisor.reload)

    def stop(self) -> list[str]:
        return self.does(self.supervisor.stop)


@pytest.fixture
def world() -> Scripted:
    """One whose first two workers serve."""
    world = Scripted()
    world.ready(1, 2)
    return world


# ---- start


def test_it_serves_when_all_are_ready() -> None:
    world = Scripted()
    assert world.done == ["start 1 first", "start 2 first"]
    assert world.ready(1) == []
    assert world.ready(2) == ["serving first here"]
    assert world.supervisor.at_work == 2
    assert world.supervisor.due() == math.inf


def test_a_start_without_a_plan_ends_at_once() -> None:
    world = Scripted("port 80 is taken")
    assert world.done == ["say port 80 is taken", "end"]
    assert world.status == 1


def test_a_first_worker_that_cannot_start_ends_it_all_and_says_why_once() -> None:
    world = Scripted()
    assert world.does(world.supervisor.failed, 1, "there is no module mine") == []
    assert world.dies(1) == ["retire 2", "kill 2", "say there is no module mine", "end"]
    assert world.status == 1
    assert world.dies(2) == []


def test_a_first_worker_that_dies_without_a_word() -> None:
    world = Scripted()
    told = world.dies(2, how="was killed by SIGSEGV")
    assert "say a worker was killed by SIGSEGV before it was ready" in told


def test_a_worker_that_is_never_ready_is_killed() -> None:
    world = Scripted()
    world.ready(1)
    assert world.passes(119) == []
    assert world.passes(1) == ["say worker 2 was not ready within 120 seconds, and is killed", "kill 2"]
    assert world.dies(2)[-2:] == ["say a worker was killed by SIGKILL before it was ready", "end"]


def test_a_machine_without_room_for_a_process() -> None:
    world = Scripted.__new__(Scripted)
    world.__dict__.update(plans=[Plan()], clock=0.0, done=[], status=None, pids=0, cannot_fork=True)
    world.supervisor = Supervisor(world)
    world.supervisor.begin()
    assert world.done == ["say a worker cannot be started: Resource temporarily unavailable", "end"]


# ---- death


def test_a_worker_that_dies_is_replaced_at_once(world: Scripted) -> None:
    world.passes(3600)
    assert world.dies(1) == ["say worker 1 was killed by SIGKILL; another is started now", "start 3 first"]
    assert world.ready(3) == []
    assert world.supervisor.at_work == 2


def test_a_worker_that_was_told_to_end_is_replaced_while_it_still_answers(world: Scripted) -> None:
    for pid in range(2, 20):
        told = world.does(world.supervisor.leaving, pid)
        assert told == [f"say worker {pid} was told to end; another is started", f"start {pid + 1} first"]
        world.ready(pid + 1)
        assert world.dies(pid, how="ended with status 0") == []
    assert world.does(world.supervisor.leaving, 99) == []


def test_workers_that_end_themselves_as_soon_as_they_serve_are_no_storm(world: Scripted) -> None:
    for _ in range(600):
        for pid in world.supervisor.pids:
            world.supervisor.ready(pid, "here")
            world.supervisor.leaving(pid)
        world.passes(0.1)
    assert world.pids < 2 * 60 * 2 + 20


def test_one_that_dies_again_and_again_is_replaced_after_pauses_that_grow(world: Scripted) -> None:
    world.passes(3600)
    pauses = []
    for pid in range(2, 14):
        before = world.clock
        world.dies(pid, how="was killed by SIGSEGV")
        while world.pids == pid:
            world.passes(0.1)
        pauses.append(round(world.clock - before, 1))
        world.ready(pid + 1)
    assert pauses == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_after_a_while_of_peace_a_death_is_the_first_again(world: Scripted) -> None:
    world.dies(1)
    world.ready(3)
    assert "another is started in 0.5 seconds" in world.dies(3)[0]
    world.passes(1)
    world.ready(4)
    world.passes(10)
    assert "another is started now" in world.dies(4)[0]


def test_all_that_die_together_are_replaced() -> None:
    world = Scripted(Plan(workers=4))
    world.ready(1, 2, 3, 4)
    world.passes(100)
    world.dies(1, 2, 3, 4)
    for _ in range(20):
        world.passes(1)
        world.ready(*world.supervisor.pids)
    assert world.supervisor.at_work == 4


def test_no_storm_where_every_start_fails(world: Scripted) -> None:
    """In an hour: while one worker serves, another try each half minute, one at a time."""
    world.passes(3600)
    world.dies(1)
    for _ in range(3600):
        for pid in world.supervisor.pids:
            if pid != 2:
                world.supervisor.failed(pid, "no more")
                world.supervisor.died(pid, "ended with status 1")
        world.passes(1)
    assert world.status is None
    assert 100 < world.pids < 130
    assert world.supervisor.at_work == 1


def test_three_starts_that_fail_while_nobody_serves_are_the_end() -> None:
    world = Scripted(Plan(workers=1))
    world.ready(1)
    world.passes(60)
    world.dies(1)
    for pid in (2, 3):
        world.supervisor.failed(pid, "there is no module mine")
        told = world.dies(pid, how="ended with status 1")
        world.passes(60)
    assert told[0] == (
        "say worker 3 did not start: there is no module mine; that is failure 3 in a row, and nobody serves"
    )
    assert world.status == 1
    assert world.pids == 3


def test_a_process_that_cannot_be_had_is_tried_for_again(world: Scripted) -> None:
    world.passes(100)
    world.cannot_fork = True
    assert world.dies(1)[-1].startswith("say a worker cannot be started: Resource temporarily unavailable")
    world.cannot_fork = False
    assert world.passes(29) == []
    assert world.passes(1) == ["start 3 first"]


# ---- silence


def test_a_worker_that_does_not_answer_is_killed_and_replaced(world: Scripted) -> None:
    assert world.does(world.supervisor.ask) == ["ask 1", "ask 2"]
    world.supervisor.alive(1)
    assert world.does(world.supervisor.ask) == ["ask 1"]
    world.supervisor.alive(1)
    assert world.passes(59) == []
    assert world.passes(1) == ["say worker 2 has not answered for 60 seconds, and is killed", "kill 2"]
    assert world.dies(2)[1] == "start 3 first"


def test_whoever_was_not_asked_owes_nothing(world: Scripted) -> None:
    """As after the whole machine, the parent with it, was stopped for a day."""
    world.does(world.supervisor.ask)
    world.supervisor.alive(1)
    world.supervisor.alive(2)
    assert world.passes(86_400) == []


def test_who_has_answered_lately_is_known(world: Scripted) -> None:
    world.passes(100)
    assert not world.supervisor.answered_since(world.clock - 10)
    world.supervisor.alive(1)
    assert world.supervisor.answered_since(world.clock - 10)


# ---- stop


def test_stopping_waits_for_all(world: Scripted) -> None:
    assert world.stop() == ["finish 1", "finish 2"]
    assert world.dies(1, how="ended with status 0") == []
    assert world.dies(2, how="ended with status 0") == ["end"]
    assert world.status == 0


def test_stopping_twice_closes_everything(world: Scripted) -> None:
    world.stop()
    assert world.stop() == ["close 1", "close 2"]
    assert world.passes(5)[1::2] == ["kill 1", "kill 2"]
    assert world.dies(1, 2) == ["end"]


def test_stopping_has_a_deadline(world: Scripted) -> None:
    world.stop()
    assert world.passes(14.9) == []
    told = ["say worker 1 does not end, and is killed", "kill 1", "say worker 2 does not end, and is killed", "kill 2"]
    assert world.passes(0.1) == told


def test_stopping_while_it_starts() -> None:
    world = Scripted()
    world.ready(1)
    assert world.stop() == ["finish 1", "finish 2"]
    assert world.ready(2) == []
    assert world.dies(1, 2) == ["end"]


def test_nothing_is_started_while_it_stops(world: Scripted) -> None:
    world.stop()
    assert world.reload() == []
    assert world.dies(1) == []
    assert world.passes(60)[0] == "say worker 2 does not end, and is killed"


# ---- reload


def test_a_reload_brings_the_next_up_before_it_lets_the_old_go() -> None:
    world = Scripted(Plan(), Plan("second", 3))
    world.ready(1, 2)
    assert world.reload() == ["start 3 second", "start 4 second", "start 5 second"]
    assert world.ready(3, 5) == []
    assert world.supervisor.at_work == 2
    assert world.ready(4) == ["retire 1", "retire 2", "serving second here"]
    assert world.dies(1, 2) == []
    assert world.supervisor.at_work == 3


def test_a_plan_that_fails_changes_nothing() -> None:
    world = Scripted(Plan(), "httpd.toml:3:1: there is no key prot")
    world.ready(1, 2)
    assert world.reload() == ["refused httpd.toml:3:1: there is no key prot"]
    assert world.supervisor.at_work == 2


def test_a_generation_of_which_one_fails_is_ended_and_the_old_serves_on() -> None:
    world = Scripted(Plan(), Plan("second"))
    world.ready(1, 2)
    world.reload()
    world.ready(3)
    world.supervisor.failed(4, "importing mine failed: SyntaxError")
    told = world.dies(4, how="ended with status 1")
    assert told == ["retire 3", "kill 3", "refused importing mine failed: SyntaxError"]
    assert world.dies(3) == []
    assert world.supervisor.at_work == 2
    assert world.status is None


def test_a_reload_while_one_is_under_way_comes_after_it(world: Scripted) -> None:
    world.reload()
    assert world.reload() == world.reload() == []
    assert world.ready(3, 4) == ["retire 1", "retire 2", "serving first here", "start 5 first", "start 6 first"]
    assert world.ready(5, 6) == ["retire 3", "retire 4", "serving first here"]


def test_a_reload_before_the_first_generation_serves_comes_after_it() -> None:
    world = Scripted()
    assert world.reload() == []
    assert world.ready(1, 2) == ["serving first here", "start 3 first", "start 4 first"]


def test_a_death_while_the_next_generation_comes_is_not_made_good(world: Scripted) -> None:
    world.passes(100)
    world.reload()
    assert world.dies(1) == ["say worker 1 was killed by SIGKILL"]
    assert world.ready(3, 4) == ["retire 2", "serving first here"]


def test_a_death_while_a_generation_came_that_failed_is_made_good(world: Scripted) -> None:
    world.passes(100)
    world.reload()
    world.dies(1)
    assert world.dies(3)[-1] == "start 5 first"


def test_old_workers_do_not_pile_up(world: Scripted) -> None:
    """Those that still answer are waited for, three generations of them at the most."""
    for pid in range(3, 9, 2):
        world.reload()
        world.ready(pid, pid + 1)
    assert world.reload() == []
    assert world.dies(1) == ["start 9 first", "start 10 first"]
