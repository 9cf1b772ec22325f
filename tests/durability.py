"""Nothing acknowledged is lost: servers killed at random moments, in the midst of what they are sent.

    python -m tests.durability --rounds 200 --store sqlite
    python -m tests.durability --rounds 200 --store postgresql

Clients post to a form without a pause: JSON, forms in parts with files, some of them large, and what browsers send.
Each submission has a name of its own, as its key or in the token of its page, and is sent again under it until it is
acknowledged; meanwhile the server is killed (SIGKILL) and started anew, round after round.
PostgreSQL, which syncs its commits, is killed too: in every fourth round one of its processes, in every fourth all of
it.  After each start, what was acknowledged before must be there; in the end every submission must be there once, with
all of its file, and its webhook must have been delivered, under one id, to a receiver that fails now and then.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from httpd.inbox.opening import open_inbox
from httpd.inbox.submissions import Wanted, each, first_id, pieces
from httpd.store.errors import Unavailable
from httpd.store.schema import Transaction

from .live import LiveServer
from .postgres import PostgreSQL
from .workbench import until

__all__ = ["Figures", "kill_and_count"]

_T = TypeVar("_T")

_CLIENTS = 12
# How long a round goes on at the most until the server is killed, in seconds, and how long every eighth: on a busy
# machine something large takes its time.
_LONGEST_ROUND = 0.5
_LONG_ROUND = 3.0
# How long a claim lasts that a killed server had on a delivery, and a little more.
_CLAIM = 170.0
# The name of a submission, in what stands for it in the database.
_KEY = re.compile("submission[0-9]{6}")


@dataclass
class Figures:
    """What was seen."""

    rounds: int = 0
    submissions: int = 0
    sent_again: int = 0
    refused: int = 0
    deliveries: int = 0
    delivered_again: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything is there that must be, once."""
        return not (self.lost or self.doubled or self.wrong) and self.submissions > 0

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds: {self.submissions:,} submissions acknowledged, {len(self.lost)} lost, "
            f"{len(self.doubled)} there twice; {self.sent_again:,} sent again because no answer came, {self.refused:,} "
            f"answered 503; {self.deliveries:,} deliveries of {self.submissions:,} submissions received, "
            f"{self.delivered_again:,} of them again; {len(self.wrong)} other faults.  {self.seconds:.0f} s"
        )


# ---- the receiver of webhooks


class Receiver(ThreadingHTTPServer):
    """Counts what it is sent: the ids under which each submission came.  Now and then it fails."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, chance: random.Random) -> None:
        super().__init__(("127.0.0.1", 0), _Received)
        self.chance = chance
        self.fails = 0.02
        self.received: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.counting = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Its clients are killed."""


class _Received(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counting:
            fails = self.server.chance.random() < self.server.fails
            if not fails:
                self.server.received[told["data"]["id"]][self.headers["webhook-id"]] += 1
        self.send_response(500 if fails else 204)
        self.end_headers()

    def log_message(self, *what: Any) -> None:
        """It says nothing."""


# ---- the clients


class Way(NamedTuple):
    """How a submission is sent: its content, what is said of it, and what acknowledges it."""

    content: bytes
    headers: dict[str, str]
    success: int


def _values(key: str) -> dict[str, str]:
    return {"name": "A client", "email": "client@example.org", "message": key}


def _as_json(key: str) -> Way:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    return Way(json.dumps(_values(key)).encode(), headers, 201)


def _in_parts(key: str) -> Way:
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in _values(key).items()]
    parts.append(b'name="file"; filename="a.bin"\r\n\r\n' + _file(key))
    content = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Accept": "application/json", "Idempotency-Key": key}
    return Way(content, headers, 201)


def _from_a_page(key: str) -> Way:
    """As a browser sends it, with the token that was in the page."""
    token = f"{int(time.time()):x}.{key}"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    return Way(urlencode({**_values(key), "_token": token}).encode(), headers, 303)


_WAYS = (_as_json, _in_parts, _from_a_page)


def _number(key: str) -> int:
    return int(key.removeprefix("submission"))


def _file(key: str) -> bytes:
    """What is in the file that comes with some: now and then more than is written at once."""
    size = 3_000_000 if _number(key) % 40 == 1 else 2_000
    return (key.encode() * (size // len(key) + 1))[:size]


class Crowd:
    """Clients that submit until `stop`, each one after the other; `port` is where the server is at the moment."""

    def __init__(self, clients: int) -> None:
        self.port = 0
        # When each that has been acknowledged was first sent, in microseconds.
        self.acknowledged: dict[str, int] = {}
        self.figures = Figures()
        self._counting = threading.Lock()
        self._over = threading.Event()
        self._numbers = iter(range(1_000_000))
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing new, and wait until all that was begun is acknowledged."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            if thread.is_alive():
                self.figures.wrong.append("a client waits without an end")

    def acknowledged_now(self) -> list[tuple[str, int]]:
        """(key, when it was first sent) of what has been acknowledged so far, in that order."""
        with self._counting:
            return list(self.acknowledged.items())

    def _run(self) -> None:
        while not self._over.is_set():
            with self._counting:
                # As long as the nonce of a page.
                key = f"submission{next(self._numbers):06}"
            try:
                self._submit(key, time.time_ns() // 1_000)
            except Exception as error:
                self.figures.wrong.append(f"{key}: {error!r}")

    def _submit(self, key: str, began: int) -> None:
        way = _WAYS[_number(key) % len(_WAYS)](key)
        for attempt in count():
            try:
                status, answer = self._post(way)
            except (OSError, http.client.HTTPException):
                status, answer = 0, b""
            with self._counting:
                self.figures.sent_again += attempt > 0
                self.figures.refused += status == 503
                if status == way.success:
                    self.acknowledged[key] = began
                    return
            if status not in (0, 503):
                raise AssertionError(f"{status} {answer[:200]!r}")
            time.sleep(0.02)

    def _post(self, way: Way) -> tuple[int, bytes]:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(client):
            client.request("POST", "/contact", way.content, {**way.headers, "Connection": "close"})
            answer = client.getresponse()
            return answer.status, answer.read()


# ---- the rounds


_FORM = """
[forms."/contact"]
rate = false
[forms."/contact".fields]
name = { required = true }
email = { type = "email", required = true }
message = { required = true }
file = { type = "file" }
"""

def _server(url: str, hook: str, folder: str) -> LiveServer:
    """The command as a person would start it, with a form that takes any number from one address."""
    settings = Path(folder, "httpd.toml")
    settings.write_text(_FORM)
    secret = "whsec_" + b64encode(bytes(24)).decode()
    options = ["--config", str(settings), "--inbox", url, "--webhook", hook, "--access-log", "off"]
    return LiveServer(folder, *options, env={"HTTPD_WEBHOOK_SECRET": secret})


def _kill(server: LiveServer, postgres: PostgreSQL | None, number: int, chance: random.Random) -> None:
    """The server is killed, and of PostgreSQL what this round has in mind."""
    if postgres is not None and number % 4 == 1:
        # The others end with it, and it comes up again by itself.
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(postgres.backends()), signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.2))
    elif postgres is not None and number % 4 == 3:
        postgres.kill()
        time.sleep(chance.uniform(0, 0.1))
    server.stop(signal.SIGKILL)


def kill_and_count(
    url: str, rounds: int, *, postgres: PostgreSQL | None = None, patient: bool = True, seed: int = 0
) -> Figures:
    """Play so many rounds.  Without `patient`, what a killed server was to send is due again in the end at once."""
    chance, began = random.Random(seed), time.monotonic()
    crowd = Crowd(_CLIENTS)
    with Receiver(chance) as receiver, tempfile.TemporaryDirectory() as folder:
        start = partial(_server, url, receiver.url, folder)
        _play(rounds, start, url, crowd, postgres, chance)
        with start() as server:
            crowd.port = server.port
            crowd.stop()
        if not patient:
            receiver.fails = 0.0
            with contextlib.closing(open_inbox(url)) as database:
                database.write(lambda made: made.execute("UPDATE deliveries SET due = 0 WHERE due IS NOT NULL"))
        with start():
            _await_webhooks(url, receiver)
        receiver.shutdown()
    figures = crowd.figures
    figures.rounds, figures.submissions = rounds, len(crowd.acknowledged)
    _judge(url, crowd, receiver)
    figures.seconds = time.monotonic() - began
    return figures


def _play(
    rounds: int,
    start: Callable[[], LiveServer],
    url: str,
    crowd: Crowd,
    postgres: PostgreSQL | None,
    chance: random.Random,
) -> None:
    checked = 0
    for number in range(rounds):
        with start() as server:
            crowd.port = server.port
            if number == 0:
                crowd.start()
            time.sleep(chance.uniform(0, _LONGEST_ROUND if number % 8 else _LONG_ROUND))
            checked = _look(url, crowd, checked)
            _kill(server, postgres, number, chance)
        if postgres is not None:
            postgres.start()


def _read(url: str, work: Callable[[Transaction], _T]) -> _T:
    """What is in the inbox.  PostgreSQL may be about to come up again."""
    end = time.monotonic() + 60
    with contextlib.closing(open_inbox(url)) as database:
        while True:
            try:
                return database.read(work)
            except Unavailable:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)


def _look(url: str, crowd: Crowd, checked: int) -> int:
    """Look for what was acknowledged since the last time; how many there are now."""
    acknowledged = crowd.acknowledged_now()
    fresh = dict(acknowledged[checked:])
    since = first_id(min(fresh.values(), default=0))
    rows = _read(url, lambda seen: seen.execute("SELECT token FROM submissions WHERE id >= ?", (since,)))
    there = {key for (token,) in rows for key in _KEY.findall(token)}
    crowd.figures.lost += fresh.keys() - there
    return len(acknowledged)


def _await_webhooks(url: str, receiver: Receiver) -> None:
    """Wait until every submission was received, as long as that may take."""
    identities = {identity for (identity,) in _read(url, lambda seen: seen.execute("SELECT id FROM submissions"))}
    until(lambda: identities <= receiver.received.keys(), _CLAIM + len(identities) / 50)


def _judge(url: str, crowd: Crowd, receiver: Receiver) -> None:
    """Compare what was acknowledged with what is there, and what was received."""
    figures = crowd.figures
    stored: defaultdict[str, list[str]] = defaultdict(list)
    for key, identity, is_whole in _read(url, _stored):
        stored[key].append(identity)
        if not is_whole:
            figures.lost.append(f"some of the file of {key}")
    figures.lost += crowd.acknowledged.keys() - stored.keys()
    figures.doubled += [key for key, identities in stored.items() if len(identities) > 1]
    for key, (identity, *_) in stored.items():
        if identity not in receiver.received:
            figures.lost.append(f"the webhook of {key}")
    figures.doubled += [f"the webhook of {key}" for key, names in receiver.received.items() if len(names) > 1]
    figures.wrong += [f"{key} was never acknowledged" for key in stored.keys() - crowd.acknowledged.keys()]
    figures.deliveries = sum(names.total() for names in receiver.received.values())
    figures.delivered_again = figures.deliveries - len(receiver.received)


def _stored(seen: Transaction) -> list[tuple[str, str, bool]]:
    """The key and the id of every submission, and whether the file is there that came along."""
    found = []
    for submission in each(seen, Wanted()):
        key = dict(submission.fields)["message"]
        expected = _file(key) if _WAYS[_number(key) % len(_WAYS)] is _in_parts else b""
        found.append((key, submission.id, b"".join(pieces(seen, submission.id, 0)) == expected))
    return found


@contextlib.contextmanager
def _store(kind: str) -> Iterator[tuple[str, PostgreSQL | None]]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:{folder}/inbox.db", None
    else:
        with PostgreSQL(durable=True) as server, server.database() as url:
            yield url, server


def main() -> None:
    """Play the rounds that the command line says, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    good = True
    for kind in options.store or ["sqlite", "postgresql"]:
        with _store(kind) as (url, postgres):
            figures = kill_and_count(url, options.rounds, postgres=postgres, seed=options.seed)
        print(f"{kind}: {figures}", flush=True)
        for fault in [*figures.lost, *figures.doubled, *figures.wrong][:20]:
            print(f"  {fault}")
        good = good and figures.good
    print(f"seed {options.seed}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
