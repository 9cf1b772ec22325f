"""The outbox: what came in is sent on, by threads of its own, until it has arrived or is given up.

    outbox = Outbox(database, {"webhook": Webhook(keys), "mail": Mail(server)})
    outbox.start()
    database.write(store_with_deliveries)
    outbox.wake()

It has no memory: what there is to do stands in the database (see `deliveries`), and any number of processes and
machines may work on it.  Their clocks may differ by less than a claim lasts, less the time that sending takes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping

from ..net.report import Reporter
from ..store.database import Database
from ..store.errors import Unavailable
from ..store.schema import Transaction
from . import deliveries
from .deliveries import Delivery
from .records import Record, records
from .sending import Failed, GivenUp, Unreached
from .submissions import find

__all__ = ["MOST_ATTEMPTS", "Outbox", "Sender", "pause"]

logger = Reporter("httpd.inbox")

# Sends a submission; returns when it has arrived.  Raises Failed, GivenUp, and whatever else may go wrong.
Sender = Callable[[Delivery, Record], None]

# How long a claim lasts, in seconds: more than twice the longest time that sending may take (see `sending`).
CLAIM = 150.0
# The pause after the first attempt, in seconds; each one is twice as long as the one before, up to the longest.
_FIRST_PAUSE = 10.0
_LONGEST_PAUSE = 6 * 3600.0
# With these pauses the last attempt is made after two days or a little more: a weekend.
MOST_ATTEMPTS = 20
# How often a thread looks for what others have left behind, and tries a target that did not answer, in seconds.
_LOOK_EVERY = 30.0
# How long it leaves a database alone that cannot be reached.
_FAULT_PAUSE = 5.0
# How long `close` waits for what is being sent.
_PATIENCE = 5.0
# How many are sent at once: a receiver that hangs does not hold up the others.
_THREADS = 4


def pause(attempts: int, chance: float) -> float:
    """How long to wait after so many attempts, in seconds; `chance`, 0 to 1, spreads those that failed together."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempts - 1))
    return longest * (0.5 + chance / 2)


class Outbox:
    """Sends what is due.  `senders` are the kinds of targets that this process can reach; others are left alone.

    `clock` is in seconds since 1970, `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        database: Database,
        senders: Mapping[str, Sender],
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._senders = dict(senders)
        self._kinds = tuple(self._senders)
        self._clock = clock
        self._chance = chance
        self._changed = threading.Condition()
        self._wakes = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin.  To be called in the very process that is to send: threads do not survive a fork."""
        for _ in range(_THREADS if self._kinds else 0):
            thread = threading.Thread(target=self._run, name="httpd-outbox", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Something may be due now.  May be called from any thread, and does not wait."""
        with self._changed:
            self._wakes += 1
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more, and wait a little for what is being sent; what is not done then is due again later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    # ---- one delivery

    def step(self) -> bool:
        """Send what is due first; whether anything was.  Raises Unavailable."""
        now = self._now()
        due = self._next_due()
        if due is None or due > now:
            return False
        found = self._database.write(lambda transaction: self._claimed(transaction, now))
        if found is not None:
            self._send(*found)
        # Where another was faster there may be more.
        return True

    def _claimed(self, transaction: Transaction, now: int) -> tuple[Delivery, Record] | None:
        delivery = deliveries.claim(transaction, self._kinds, now, now + _micro(CLAIM))
        if delivery is None:
            return None
        submission = find(transaction, delivery.submission)
        if submission is None:
            # It was deleted, and what there was to say of it with it.
            deliveries.forget(transaction, [delivery.submission])
            return None
        return delivery, next(records(transaction, [submission]))

    def _send(self, delivery: Delivery, record: Record) -> None:
        try:
            self._senders[delivery.kind](delivery, record)
        except GivenUp as why:
            self._failed(delivery, str(why), None)
        except Failed as why:
            self._failed(delivery, str(why), max(pause(delivery.attempts, self._chance()), why.retry_after))
            if isinstance(why, Unreached):
                self._postpone_others(delivery)
        except Exception as why:
            # A fault of ours must not have it sent forever, nor keep the thread from what else there is.
            logger.exception("sending %s to %s failed", delivery.id, delivery.place)
            self._failed(delivery, type(why).__name__, pause(delivery.attempts, self._chance()))
        else:
            self._database.write(lambda transaction: deliveries.delivered(transaction, delivery, self._now()))

    def _failed(self, delivery: Delivery, why: str, seconds: float | None) -> None:
        last = seconds is None or delivery.attempts >= MOST_ATTEMPTS
        due = None if last or seconds is None else self._now() + _micro(seconds)
        self._database.write(lambda transaction: deliveries.failed(transaction, delivery, why, due))
        then = "given up" if due is None else f"again in {seconds:.0f} s"
        level = logger.error if due is None else logger.warning
        level(
            "submission %s to %s: attempt %d: %s; %s",
            delivery.submission, delivery.place, delivery.attempts, why, then,
        )  # fmt: skip

    def _postpone_others(self, delivery: Delivery) -> None:
        """Where one waits for an answer in vain, each of a thousand others would, and all threads with them."""
        now = self._now()
        self._database.write(lambda made: deliveries.postpone(made, delivery, now, now + _micro(_LOOK_EVERY)))

    # ---- in a thread

    def _run(self) -> None:
        while not self._closed:
            wakes = self._wakes
            try:
                wait = 0.0 if self.step() else self._until_due()
            except Exception as why:
                # What was claimed, and perhaps sent, is due again when the claim ends.
                wait = _FAULT_PAUSE
                if not isinstance(why, Unavailable):
                    # Of a database that cannot be reached the store itself tells, and once.
                    logger.exception("the outbox cannot get on")
            with self._changed:
                if wait and wakes == self._wakes and not self._closed:
                    self._changed.wait(wait)

    def _until_due(self) -> float:
        due = self._next_due()
        return _LOOK_EVERY if due is None else min(_LOOK_EVERY, max(0.0, (due - self._now()) / 1e6))

    def _next_due(self) -> int | None:
        return self._database.read(lambda transaction: deliveries.next_due(transaction, self._kinds))

    def _now(self) -> int:
        return _micro(self._clock())


def _micro(seconds: float) -> int:
    return int(seconds * 1_000_000)
