"""The outbox: what is stored is sent on until it has arrived, by one at a time, under one id."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.inbox import deliveries
from httpd.inbox.deliveries import Delivery
from httpd.inbox.opening import open_inbox
from httpd.inbox.outbox import CLAIM, MOST_ATTEMPTS, Outbox, pause
from httpd.inbox.records import Record
from httpd.inbox.sending import Failed, GivenUp, Unreached
from httpd.inbox.submissions import keep, new_submission
from httpd.inbox.targets import Target
from httpd.store.database import Database

from .workbench import until

HOOK = Target("webhook", "https://hooks.example/secret-path?token=1")
MAIL = Target("mail", "me@example.org")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Receiver:
    """Takes deliveries; what is put into `faults` is raised first."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Record]] = []
        self.faults: list[BaseException] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, delivery: Delivery, record: Record) -> None:
        self.meanwhile()
        if self.faults:
            raise self.faults.pop(0)
        self.got.append((delivery.id, record))


class Killed(BaseException):
    """As if the process ended here."""


# For tests of what the database decides.
either = pytest.mark.parametrize(
    "url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.tools)], indirect=True
)  # fmt: skip


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of SQLite where the test does not ask for either."""
    postgresql = getattr(request, "param", "") == "postgresql"
    return request.getfixturevalue("postgresql_url") if postgresql else f"sqlite:{tmp_path}/inbox.db"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = open_inbox(url)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def outbox(database: Database, clock: Clock, **senders: Any) -> Outbox:
    return Outbox(database, senders, clock=clock, chance=lambda: 1.0)


def store(database: Database, *targets: Target, text: str = "hello", now: float = Clock.now) -> str:
    """Store a submission with its deliveries, in one transaction."""
    submission = new_submission("/contact", int(now * 1e6), "192.0.2.1", "", [("message", text)])

    def work(transaction: Any) -> None:
        keep(transaction, submission)
        deliveries.enqueue(transaction, submission.id, targets, int(now * 1e6))

    database.write(work)
    return submission.id


def rows(database: Database) -> list[Delivery]:
    return database.read(lambda transaction: list(deliveries.deliveries(transaction)))


def test_what_is_stored_arrives_once(database: Database, clock: Clock) -> None:
    hook, mail = Receiver(), Receiver()
    identity = store(database, HOOK, MAIL)
    box = outbox(database, clock, webhook=hook, mail=mail)
    assert (box.step(), box.step(), box.step()) == (True, True, False)
    [(hook_id, record)], [(mail_id, _)] = hook.got, mail.got
    assert record.submission.fields == [("message", "hello")]
    assert hook_id != mail_id
    assert {(row.id, row.submission, row.state, row.attempts) for row in rows(database)} == {
        (hook_id, identity, "delivered", 1),
        (mail_id, identity, "delivered", 1),
    }


def test_what_is_not_stored_is_not_sent(database: Database, clock: Clock) -> None:
    def work(transaction: Any) -> None:
        deliveries.enqueue(transaction, "01", [HOOK], 0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)
    assert not outbox(database, clock, webhook=Receiver()).step()


@either
def test_what_fails_is_tried_again_later_and_later_under_the_same_id(database: Database, clock: Clock) -> None:
    hook = Receiver()
    hook.faults = [Failed("the receiver answered 500") for _ in range(4)]
    store(database, HOOK)
    box = outbox(database, clock, webhook=hook)
    waits = []
    for _ in range(4):
        assert box.step()
        [row] = rows(database)
        assert (row.state, row.last_error) == ("retrying", "the receiver answered 500")
        assert not box.step()
        assert row.due is not None
        waits.append(row.due / 1e6 - clock.now)
        clock.now = row.due / 1e6
    assert waits == [10, 20, 40, 80]
    assert box.step()
    assert [identity for identity, _ in hook.got] == [row.id]


def test_pauses_double_up_to_six_hours_and_are_spread() -> None:
    assert [pause(1, 0), pause(1, 1), pause(5, 1), pause(50, 1)] == [5, 10, 160, 6 * 3600]
    days = sum(pause(attempt, 1) for attempt in range(1, MOST_ATTEMPTS)) / 86_400
    assert 1.8 < days < 3


def test_a_receiver_may_ask_for_a_longer_pause(database: Database, clock: Clock) -> None:
    hook = Receiver()
    hook.faults = [Failed("the receiver answered 429", 3_600)]
    store(database, HOOK)
    outbox(database, clock, webhook=hook).step()
    assert rows(database)[0].due == int((clock.now + 3_600) * 1e6)


@either
def test_in_the_end_it_is_given_up_and_can_be_tried_anew(database: Database, clock: Clock) -> None:
    hook = Receiver()
    hook.faults = [Failed("no") for _ in range(MOST_ATTEMPTS)]
    identity = store(database, HOOK)
    box = outbox(database, clock, webhook=hook)
    for _ in range(MOST_ATTEMPTS):
        assert box.step()
        clock.now += 7 * 3600
    assert not box.step()
    assert rows(database)[0].state == "failed"
    assert database.write(lambda t: deliveries.retry(t, None, int(clock.now * 1e6))) == 1
    assert box.step()
    assert rows(database)[0].state == "delivered"
    assert database.write(lambda t: deliveries.retry(t, [identity], int(clock.now * 1e6))) == 0


def test_who_is_gone_for_good_is_not_asked_again(database: Database, clock: Clock) -> None:
    hook = Receiver()
    hook.faults = [GivenUp("the receiver answered 410: it wants no more")]
    store(database, HOOK)
    box = outbox(database, clock, webhook=hook)
    assert box.step()
    clock.now += 30 * 86_400
    assert not box.step()
    assert (rows(database)[0].state, rows(database)[0].attempts) == ("failed", 1)


def test_killed_between_sending_and_marking_it_is_sent_again_with_the_same_id(database: Database, clock: Clock) -> None:
    hook = Receiver()
    store(database, HOOK)
    dying = outbox(database, clock, webhook=hook)

    def send_and_die(delivery: Delivery, record: Record) -> None:
        hook(delivery, record)
        raise Killed

    with pytest.raises(Killed):
        outbox(database, clock, webhook=send_and_die).step()
    assert not dying.step(), "it is claimed"
    clock.now += CLAIM + 1
    assert outbox(database, clock, webhook=hook).step()
    assert len(hook.got) == 2
    assert hook.got[0] == hook.got[1]


def test_killed_before_sending_loses_nothing(database: Database, clock: Clock) -> None:
    hook = Receiver()
    hook.faults = [Killed()]
    store(database, HOOK)
    with pytest.raises(Killed):
        outbox(database, clock, webhook=hook).step()
    clock.now += CLAIM + 1
    assert outbox(database, clock, webhook=hook).step()
    assert len(hook.got) == 1


@either
def test_two_on_one_database_never_send_the_same(url: str, clock: Clock) -> None:
    one, other = open_inbox(url), open_inbox(url)
    first, second = Receiver(), Receiver()
    for number in range(6):
        store(one, HOOK, text=str(number))
    box, peer = outbox(one, clock, webhook=first), outbox(other, clock, webhook=second)
    # While the one sends, the other claims what is left.
    first.meanwhile = peer.step
    while box.step():
        pass
    assert len(first.got) == len(second.got) == 3
    assert len({identity for identity, _ in first.got + second.got}) == 6
    one.close()
    other.close()


def test_a_target_that_does_not_answer_keeps_nobody_else_waiting(database: Database, clock: Clock) -> None:
    there = Target("webhook", "https://there.example/")
    asked: list[str] = []

    def sender(delivery: Delivery, record: Record) -> None:
        asked.append(delivery.target)
        clock.now += 15
        if delivery.target == HOOK.address:
            raise Unreached("timed out")

    for _ in range(20):
        store(database, HOOK)
    store(database, there, now=clock.now + 1)
    box = outbox(database, clock, webhook=sender)
    assert box.step()
    assert box.step()
    assert asked == [HOOK.address, there.address]
    assert [row.attempts for row in rows(database) if row.target == HOOK.address].count(1) == 1
    clock.now += 60
    assert box.step()
    assert asked[2:] == [HOOK.address]


@either
def test_many_at_once_send_each_once(url: str) -> None:
    """Three machines, each with its threads, and all of it due at the same time."""
    machines = [open_inbox(url) for _ in range(3)]
    lock, got = threading.Lock(), Counter[str]()

    def sender(delivery: Delivery, record: Record) -> None:
        with lock:
            got[delivery.id] += 1

    for number in range(40):
        store(machines[0], HOOK, text=str(number), now=time.time())
    boxes = [Outbox(database, {"webhook": sender}) for database in machines]
    for box in boxes:
        box.start()
    assert until(lambda: {row.state for row in rows(machines[0])} == {"delivered"}, 60)
    for box, database in zip(boxes, machines, strict=True):
        box.close()
        database.close()
    assert len(got) == 40
    assert set(got.values()) == {1}


@either
def test_a_late_failure_does_not_undo_anothers_success(database: Database, clock: Clock) -> None:
    """Its claim had ended: another has sent it meanwhile."""
    slow, quick = Receiver(), Receiver()
    store(database, HOOK)

    def overtaken() -> None:
        clock.now += CLAIM + 1
        assert outbox(database, clock, webhook=quick).step()

    slow.meanwhile = overtaken
    slow.faults = [Failed("too late")]
    outbox(database, clock, webhook=slow).step()
    [row] = rows(database)
    assert (row.state, row.last_error) == ("delivered", "")


def test_what_is_being_sent_is_not_retried_beside_itself(database: Database, clock: Clock) -> None:
    hook = Receiver()
    identity = store(database, HOOK)
    again: list[int] = []
    hook.meanwhile = lambda: again.append(
        database.write(lambda t: deliveries.retry(t, [identity], int(clock.now * 1e6)))
    )
    outbox(database, clock, webhook=hook).step()
    assert again == [0]


def test_kinds_that_cannot_be_sent_here_are_left_for_others(database: Database, clock: Clock) -> None:
    store(database, MAIL)
    assert not outbox(database, clock, webhook=Receiver()).step()
    assert rows(database)[0].state == "pending"


def test_a_submission_that_was_deleted_is_not_sent(database: Database, clock: Clock) -> None:
    hook = Receiver()
    identity = store(database, HOOK)
    database.write(lambda t: t.execute("DELETE FROM submissions WHERE id = ?", (identity,)))
    box = outbox(database, clock, webhook=hook)
    assert box.step()
    assert not box.step()
    assert (hook.got, rows(database)) == ([], [])


def test_a_fault_of_ours_is_logged_and_does_not_stop_the_rest(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Receiver()
    hook.faults = [KeyError("oops")]
    store(database, HOOK)
    store(database, HOOK)
    box = outbox(database, clock, webhook=hook)
    assert box.step()
    assert box.step()
    assert len(hook.got) == 1
    assert sorted(row.state for row in rows(database)) == ["delivered", "retrying"]
    assert "oops" in caplog.text


def test_the_log_names_the_host_and_no_secret(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Receiver()
    hook.faults = [Failed("the receiver answered 500"), GivenUp("the receiver answered 410: it wants no more")]
    identity = store(database, HOOK)
    box = outbox(database, clock, webhook=hook)
    with caplog.at_level(logging.WARNING):
        box.step()
        clock.now += 60
        box.step()
    first, second = (record.getMessage() for record in caplog.records)
    assert (
        first == f"submission {identity} to https://hooks.example: attempt 1: the receiver answered 500; again in 10 s"
    )
    assert second.endswith("attempt 2: the receiver answered 410: it wants no more; given up")
    assert "secret" not in caplog.text
    assert "token" not in caplog.text


def test_its_threads_send_when_they_are_woken_and_end(database: Database) -> None:
    """With the real clock: several at once, so that one that hangs holds up nobody."""
    arrived = threading.Semaphore(0)
    hung, free = threading.Event(), threading.Event()

    def sender(delivery: Delivery, record: Record) -> None:
        if record.submission.fields[0][1] == "hang":
            hung.set()
            assert free.wait(30)
        arrived.release()

    box = Outbox(database, {"webhook": sender})
    box.start()
    store(database, HOOK, text="hang")
    box.wake()
    assert hung.wait(30)
    for _ in range(10):
        store(database, HOOK)
        box.wake()
    for _ in range(10):
        assert arrived.acquire(timeout=30)
    free.set()
    assert arrived.acquire(timeout=30)
    box.close()
    assert {row.state for row in rows(database)} == {"delivered"}


def test_a_database_that_fails_is_left_alone_for_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()

    class Broken(Database):
        def read(self, work: Any) -> Any:
            told.set()
            raise OSError("gone")

    monkeypatch.setattr(database, "__class__", Broken)
    box = Outbox(database, {"webhook": Receiver()})
    box.start()
    assert told.wait(30)
    box.close()
    assert "the outbox cannot get on" in caplog.text
    assert "gone" in caplog.text


def test_without_anything_to_send_with_there_are_no_threads(database: Database) -> None:
    box = Outbox(database, {})
    box.start()
    box.close()
