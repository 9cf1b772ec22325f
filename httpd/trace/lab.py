"""The lab: a request of any bytes, sent to the server in any pieces, and what came of it.

An *experiment* is made in two runs at least: the bytes whole, and the bytes cut; every cut sends them once for each
place.  All of it is real: a client (`probe.py`) connects to the server's own port.  What is said to be equal is law 6:
what was understood, and what was answered.  The clock's second, which an answer names, does not count.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

from ..net.timers import Timers
from ..protocol.errors import HTTPError, reason_phrase
from .events import Event, Received, Refused, Responded, Trace, TraceHead
from .laws import Broken, check_cut
from .probe import Ending, Manner, Probe
from .replay import cut, every_cut, one_by_one
from .sentences import sentence
from .store import Store

__all__ = ["Doors", "Experiment", "Lab", "read_experiment"]

# The longest request, and the longest that is sent once for each place to cut.
MOST_BYTES = 16_384
MOST_EVERY_CUT = 2_048
# How many experiments are remembered, and for how long one goes on, in seconds.
MOST_KEPT = 8
MOST_SECONDS = 60.0
# Into how many pieces chance cuts at the most.
_MOST_RANDOM = 12

_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]*(?=\r\n)")

_Mode = Literal["cuts", "one-byte", "random", "every-cut"]
_MODES: tuple[_Mode, ...] = get_args(_Mode)
_ENDINGS: tuple[Ending, ...] = get_args(Ending)


class Experiment(NamedTuple):
    """What to send, how to cut it, and how the client behaves."""

    data: bytes
    mode: _Mode
    cuts: tuple[int, ...]
    seed: int
    manner: Manner

    def cuttings(self) -> list[list[bytes]]:
        """The pieces of each run after the first, which sends all in one."""
        if self.mode == "every-cut":
            return [pieces for _, pieces in every_cut(self.data)]
        if self.mode == "one-byte":
            return [one_by_one(self.data)]
        if self.mode == "random":
            chance = random.Random(self.seed)
            places = range(1, len(self.data))
            return [cut(self.data, chance.sample(places, min(len(places), chance.randint(1, _MOST_RANDOM))))]
        return [cut(self.data, self.cuts)]


def read_experiment(value: Any) -> Experiment:
    """The experiment that a page asks for; see `Lab.start`.  Raises HTTPError 400 with what is wrong."""
    if not isinstance(value, dict):
        raise _wrong("A JSON object is expected.")
    text, mode = value.get("bytes"), value.get("mode", "cuts")
    if not isinstance(text, str) or not text or any(char > "\xff" for char in text):
        raise _wrong("The bytes are a string of characters U+0000 to U+00FF, one at least.")
    if mode not in _MODES:
        raise _wrong(f"The mode is one of {', '.join(_MODES)}.")
    most = MOST_EVERY_CUT if mode == "every-cut" else MOST_BYTES
    if len(text) > most:
        raise _wrong(f"That is more than {most:,} bytes.")
    cuts = value.get("cuts", [])
    if not isinstance(cuts, list) or not all(_is_number(place, 0, MOST_BYTES) for place in cuts):
        raise _wrong("The cuts are a list of positions.")
    seed = value.get("seed", 0)
    if not _is_number(seed, 0, 1 << 32):
        raise _wrong("The seed is a number.")
    ends = value.get("ends", "half-close")
    if ends not in _ENDINGS:
        raise _wrong(f"The client ends in one of these ways: {', '.join(_ENDINGS)}.")
    if ends == "leaves":
        if not _is_number(after := value.get("after"), 1, MOST_BYTES):
            raise _wrong("The client leaves after a number of bytes, one at least.")
        text = text[:after]
    manner = _slowness(value.get("slow"))._replace(ends=ends)
    return Experiment(text.encode("latin-1"), mode, tuple(cuts), seed, manner)


def _slowness(slow: Any) -> Manner:
    if slow is None:
        return Manner()
    if (
        not isinstance(slow, dict)
        or not _is_number(slow.get("read"), 1, 65_536)
        or not _is_number(slow.get("pause_ms"), 1, 5_000)
    ):
        raise _wrong("A slow reader reads 1 to 65,536 bytes, and pauses for 1 to 5,000 milliseconds.")
    return Manner(slow["read"], slow["pause_ms"] / 1000)


def _is_number(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _wrong(why: str) -> HTTPError:
    return HTTPError(400, why)


class Doors(NamedTuple):
    """Where the server is reached, and where by a slow reader: there the kernel holds little for it."""

    usual: tuple[str, int]
    narrow: tuple[str, int]


class Lab:
    """Makes experiments, one after the other, with the server behind these doors; a sink, before `store`.

    `map` and `timers` are the server's.
    """

    def __init__(self, doors: Doors, store: Store, *, map: Any, timers: Timers) -> None:
        self._doors = doors
        self._store = store
        self._map = map
        self._timers = timers
        self._awaited: dict[str, tuple[Probe, bool]] = {}
        self._runs: dict[int, _Run] = {}
        self._number = 0

    def __call__(self, head: TraceHead) -> Callable[[Event], None]:
        """A connection begins: it is a probe's, or one of the world's."""
        probe, kept = self._awaited.pop(head.peer, (None, True))
        if probe is None:
            return self._store(head)
        return probe.recorded(head, self._store(head) if kept else None)

    def start(self, experiment: Experiment) -> int:
        """Begin an experiment; its number.  Raises HTTPError 409 while another is being made."""
        if any(not run.done for run in self._runs.values()):
            raise HTTPError(409, "An experiment is being made; wait for its end.")
        self._number += 1
        while len(self._runs) >= MOST_KEPT:
            del self._runs[next(iter(self._runs))]
        run = self._runs[self._number] = _Run(experiment, self)
        run.go_on()
        return self._number

    def result(self, number: int) -> dict[str, Any]:
        """What came of an experiment so far, as JSON takes it.  Raises HTTPError 404 where it is not known."""
        run = self._runs.get(number)
        if run is None:
            raise HTTPError(404, "There is no such experiment, or not any more.")
        return run.result()

    # ---- for a run

    def send(self, pieces: list[bytes], manner: Manner, done: Callable[[Probe], None], *, kept: bool) -> None:
        """One conversation; `kept` says whether it is shown among the connections."""
        door = self._doors.narrow if manner.pause else self._doors.usual
        probe = Probe(pieces, door, self._ended(done), map=self._map, timers=self._timers, manner=manner)
        self._awaited[probe.name] = probe, kept

    def _ended(self, done: Callable[[Probe], None]) -> Callable[[Probe], None]:
        def forget(probe: Probe) -> None:
            self._awaited.pop(probe.name, None)
            done(probe)

        return forget

    def show(self, trace: Trace) -> None:
        """Have a connection among the others that was not kept at first."""
        self._store.keep(trace)

    def soon(self, call: Callable[[], None]) -> None:
        """Have something done in the next turn, if there is one."""
        self._timers.call_soon(call)

    @property
    def now(self) -> float:
        return self._timers.now


class _Run:
    """One experiment: what was sent, how it went, and what differs."""

    def __init__(self, experiment: Experiment, lab: Lab) -> None:
        self._experiment = experiment
        self._lab = lab
        self._cuttings = experiment.cuttings()
        self._next = -1
        self._ends = lab.now + MOST_SECONDS
        self._whole: Probe | None = None
        # The run to show beside the whole one: the first that differs, or the last.
        self._other: Probe | None = None
        self._broken: list[Broken] = []
        self._squares: list[bool] = []
        self.done = False

    def go_on(self) -> None:
        """Send it whole, and then in each of the cuttings."""
        if self._next >= len(self._cuttings) or self._lab.now > self._ends:
            self._finish()
            return
        whole = self._next < 0
        pieces = [self._experiment.data] if whole else self._cuttings[self._next]
        self._next += 1
        kept = whole or len(self._cuttings) == 1
        try:
            self._lab.send(pieces, self._experiment.manner, self._ended, kept=kept)
        except OSError:
            self._finish()

    def _ended(self, probe: Probe) -> None:
        if self._whole is None:
            self._whole = probe
        else:
            self._compare(self._whole, probe)
        if probe.trace is None:
            self._finish()
        else:
            # In a turn of its own: the server may be closing its channels, and no new one is to come of that.
            self._lab.soon(self.go_on)

    def _compare(self, whole: Probe, probe: Probe) -> None:
        broken = differences(whole, probe)
        self._squares.append(not broken)
        if not self._broken:
            self._other, self._broken = probe, broken

    def _finish(self) -> None:
        self.done = True
        if len(self._cuttings) > 1 and self._other is not None and self._other.trace is not None:
            self._lab.show(self._other.trace)

    # ---- what is told

    def result(self) -> dict[str, Any]:
        sides = [probe for probe in (self._whole, self._other) if probe is not None and probe.trace is not None]
        told = {"done": self.done, "squares": self._squares, "total": len(self._cuttings)}
        if not self.done:
            return told
        return {
            **told,
            "connections": [probe.trace.head.connection for probe in sides if probe.trace],
            "verdict": _verdict(sides[-1].trace.events if sides and sides[-1].trace else []),
            "equal": len(self._squares) == len(self._cuttings) and all(self._squares),
            "broken": [str(one) for one in self._broken],
            "sides": [_side(probe) for probe in sides],
        }


# ---- comparing


def differences(one: Probe, other: Probe) -> list[Broken]:
    """Where law 6 does not hold for two conversations."""
    if one.trace is None or other.trace is None:
        return [Broken(6, 0, "one of the two was not recorded")]
    events, other_events = _timeless(one.trace.events), _timeless(other.trace.events)
    return check_cut(events, other_events, _lasting(one), _lasting(other))


def _lasting(probe: Probe) -> bytes:
    """What was answered, without the second in which it was; a long answer's beginning, and its length."""
    return _DATE.sub(b"", probe.output) + b"%d" % probe.length


def _timeless(events: Iterable[Event]) -> Iterator[Event]:
    """The events, an answer's without its date."""
    for event in events:
        what = event.what
        if type(what) is Responded:
            fields = tuple(line for line in what.fields if line[0] != "Date")
            event = event._replace(what=what._replace(fields=fields))
        yield event


def _verdict(events: Iterable[Event]) -> dict[str, Any]:
    """What became of the request: the first refusal, or the last answer."""
    answer = None
    for event in events:
        what = event.what
        if type(what) is Refused:
            return what._asdict()
        if type(what) is Responded:
            answer = what
    if answer is None:
        return {"status": None, "reason": "No answer: no request became whole.", "rule": "", "start": 0, "length": 0}
    return {"status": answer.status, "reason": reason_phrase(answer.status), "rule": "", "start": 0, "length": 0}


def _side(probe: Probe) -> dict[str, Any]:
    """One of the two conversations: the pieces that were received, what was understood, how long the answer was."""
    assert probe.trace is not None
    events = probe.trace.events
    received = [event.what for event in events if type(event.what) is Received]
    return {
        "connection": probe.trace.head.connection,
        "pieces": [[what.start, what.length] for what in received],
        "events": [
            {"n": event.n, "name": event.name, "sentence": sentence(event.what)}
            for event in events
            if event.name.startswith("http:")
        ],
        "answer_length": probe.length,
    }
