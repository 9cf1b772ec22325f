"""The requests of one turn of the loop, answered together.

First all is received that has come, then the heads are judged that are not known yet, then the site answers, then the
answers are sent.  So each step runs through its code for many connections at once, while that is at hand for the
processor; clients that sleep are not woken one by one; and what the site finds out for one request holds for the others
of its round, for each of them had come whole before the first was answered.
"""

from __future__ import annotations

from itertools import count
from math import inf
from typing import Any, Protocol

from ..net.interest import Interests
from ..net.timers import LEAVING
from ..protocol.errors import Later
from ..protocol.message import Request

__all__ = ["AtOnce", "Channel", "InRounds", "Rounds"]

# How long a round may last, in seconds: what is answered by then is sent, and the rest is the next round.
_MOST_SECONDS = 0.001
# No two rounds have one number, for two servers may have one site.
_numbers = count(1)


class Channel(Protocol):
    """What a round asks of a connection's channel."""

    service: Any  # of which it is asked whether its site answers `in_rounds`
    connected: bool

    def judge_head(self, head: bytes) -> None:
        """Find out what the head says, and act on it."""
        ...

    def answer_request(self, request: Request) -> None:
        """Have the site answer.  Raises Later."""
        ...

    def put_off(self, request: Request, later: Later) -> None:
        """Answer when the work is done that the site waits for."""
        ...

    def send_answer(self) -> None:
        """Send what can be sent of what is queued."""
        ...

    def gather_packets(self, on: bool) -> None:
        """Have packets wait until they are full, or no longer."""
        ...

    def watch(self) -> None:
        """See to the timer: an event has ended."""
        ...

    def interest_changed(self) -> None:
        """Say that it may wait for something else than before."""
        ...

    def handle_error(self) -> None:
        """Something raised."""
        ...


class Rounds(Protocol):
    """When a channel judges, when it answers, and when it sends."""

    def judge(self, channel: Channel, head: bytes) -> None:
        """Have the channel judge the head, by its `judge_head`."""
        ...

    def ask(self, channel: Channel, request: Request) -> None:
        """Have the channel answer the request, by its `answer_request`."""
        ...

    def send(self, channel: Channel) -> None:
        """Have the channel send what it has queued, by its `send_answer`."""
        ...

    def gather(self, channel: Channel) -> None:
        """What the channel sends is followed by more at once."""
        ...


class AtOnce:
    """For who has no loop: each request is a round of its own."""

    def judge(self, channel: Channel, head: bytes) -> None:
        channel.judge_head(head)

    def ask(self, channel: Channel, request: Request) -> None:
        _answer_at_once(channel, request)

    def send(self, channel: Channel) -> None:
        channel.send_answer()

    def gather(self, channel: Channel) -> None:
        """Nothing says when all is sent."""


def _answer_at_once(channel: Channel, request: Request) -> None:
    try:
        channel.answer_request(request)
    except Later as later:
        channel.put_off(request, later)


class InRounds:
    """A round a turn, or some where it takes long; what clients have sent ahead is of it, too, for nothing is received
    before its end.

    What was not received in an event of this turn, but waited for something else, is answered at once.
    """

    def __init__(self, interests: Interests) -> None:
        self._interests = interests
        self._timers = interests.timers
        interests.all_received = self.go
        self._heads: list[tuple[Channel, bytes]] = []
        self._asked: list[tuple[Channel, Request]] = []
        self._unsent: list[Channel] = []
        self._gathering: set[Channel] = set()  # whose packets wait for the end of the round
        self._collects = False  # whether what is to be sent waits for the end of the round
        self._goes = False  # whether a round is under way
        self._number = 0  # of the round
        self._until = -inf  # when it ends

    def judge(self, channel: Channel, head: bytes) -> None:
        if self._interests.receives:
            self._heads.append((channel, head))
        else:
            channel.judge_head(head)

    def ask(self, channel: Channel, request: Request) -> None:
        if self._interests.receives or self._goes:
            self._asked.append((channel, request))
        else:
            _answer_at_once(channel, request)

    def send(self, channel: Channel) -> None:
        if self._collects:
            self._unsent.append(channel)
        else:
            channel.send_answer()

    def gather(self, channel: Channel) -> None:
        if channel not in self._gathering and self._goes:
            self._gathering.add(channel)
            channel.gather_packets(True)

    def go(self) -> None:
        """Judge all heads; answer all that was asked, and what the clients have sent behind it."""
        self._goes, self._until = True, -inf
        try:
            if self._heads:
                self._judge()
            while self._asked or self._unsent:
                try:
                    self._answer()
                finally:
                    # Also where somebody leaves the loop: what was answered before is not held up.
                    self._send()
        finally:
            self._goes = False
            while self._gathering:
                self._gathering.pop().gather_packets(False)
            if self._heads or self._asked or self._unsent:
                # Somebody leaves the loop, and may come back.
                self._timers.call_soon(self._go_on)

    def _go_on(self) -> None:
        waiting = [channel for channel, _ in (*self._heads, *self._asked)]
        self.go()
        for channel in waiting:
            # Meanwhile it may have been asked whether to read, and have said no.
            channel.interest_changed()

    def _judge(self) -> None:
        heads, self._heads = iter(self._heads), []
        try:
            for channel, head in heads:
                try:
                    channel.judge_head(head)
                except LEAVING:
                    raise
                except BaseException:
                    channel.handle_error()
        finally:
            self._heads += heads

    def _answer(self) -> None:
        clock = self._timers.clock
        now = clock()
        if now >= self._until:
            self._number, self._until = next(_numbers), now + _MOST_SECONDS
        number, end, self._collects = self._number, self._until, True
        asked, self._asked = iter(self._asked), []
        try:
            for channel, request in asked:
                if channel.service.in_rounds and request.head.method == "GET":
                    request.round = number
                try:
                    # Written out: a call less for each.
                    try:
                        channel.answer_request(request)
                    except Later as later:
                        channel.put_off(request, later)
                except LEAVING:
                    raise
                except BaseException:
                    channel.handle_error()
                if clock() >= end:
                    break
        finally:
            self._collects = False
            self._asked += asked

    def _send(self) -> None:
        unsent, self._unsent = iter(self._unsent), []
        try:
            for channel in unsent:
                try:
                    channel.send_answer()
                    if channel.connected:
                        channel.watch()
                except LEAVING:
                    raise
                except BaseException:
                    channel.handle_error()
        finally:
            self._unsent += unsent
