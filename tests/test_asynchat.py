"""asynchat's contract: terminators in, producers out; first over a scripted socket, then over real ones."""

from __future__ import annotations

import array
import contextlib
import errno
import logging
import mmap
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.net import asynchat, asyncore
from httpd.net.interest import announced
from httpd.net.producers import OpenFile, file_producer

from .scripted import BLOCKS, BROKEN, EOF, RESET, ScriptedSocket, cut_at, every_cut, one_by_one, play


class Chat(asynchat.async_chat):
    """Keeps what it hears, as (data, "found") and in pieces."""

    def __init__(self, sock: Any = None, channels: Any = None, terminator: Any = b"\r\n") -> None:
        super().__init__(sock, {} if channels is None else channels)
        self.set_terminator(terminator)
        self.pieces: list[bytes] = []
        self.found: list[bytes] = []
        self.closes = 0

    def collect_incoming_data(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert data != b""
        self.pieces.append(data)
        self._collect_incoming_data(data)

    def found_terminator(self) -> None:
        self.found.append(self._get_data())

    def handle_close(self) -> None:
        self.closes += 1
        super().handle_close()


def chat(*pieces: Any, takes: Any = (), kind: type[Chat] = Chat, **more: Any) -> Chat:
    """A channel on a scripted socket."""
    return kind(ScriptedSocket(pieces, takes), **more)


def turn(channels: dict[int, Any], until: Callable[[], bool], turns: int = 200) -> None:
    """Turns of the loop until the condition holds."""
    for _ in range(turns):
        if until():
            return
        asyncore.loop(timeout=0.02, map=channels, count=1)
    assert until()


# ---- terminators

LINES = b"GET / HTTP/1.0\r\n\r\r\n\n\r\nlast\r\nand\r"


@pytest.mark.parametrize("cut", list(every_cut(LINES)), ids=lambda cut: "+".join(str(len(piece)) for piece in cut)[:12])
def test_the_cut_does_not_matter(cut: list[bytes]) -> None:
    channel = chat(*cut)
    play(channel)
    assert channel.found == [b"GET / HTTP/1.0", b"\r", b"\n", b"last"]
    assert b"".join(channel.incoming) == b"and"
    assert channel.ac_in_buffer == b"\r"


@given(
    data=st.text("abc", max_size=60).map(str.encode),
    terminator=st.text("abc", min_size=1, max_size=5).map(str.encode),
    places=st.lists(st.integers(0, 60)),
)
def test_any_data_with_any_terminator_cut_anywhere(data: bytes, terminator: bytes, places: list[int]) -> None:
    channel = chat(*cut_at(data, places), terminator=terminator)
    play(channel)
    *found, rest = data.split(terminator)
    assert channel.found == found
    assert b"".join(channel.incoming) + channel.ac_in_buffer == rest


@given(
    data=st.text("ab\r\n", max_size=40).map(str.encode),
    terminator=st.sampled_from([b"\r\n", b"\n", b"\r\n\r\n", b"aab", b"abab"]),
    places=st.lists(st.integers(0, 40)),
)
def test_the_longest_possible_beginning_of_the_terminator_is_held_back(
    data: bytes, terminator: bytes, places: list[int]
) -> None:
    channel = chat(*cut_at(data, places), terminator=terminator)
    play(channel)
    rest = data.split(terminator)[-1]
    longest = max(n for n in range(len(terminator)) if rest.endswith(terminator[:n]))
    assert channel.ac_in_buffer == terminator[:longest]


@given(data=st.binary(max_size=50), lengths=st.lists(st.integers(1, 20)), places=st.lists(st.integers(0, 50)))
def test_terminators_that_count(data: bytes, lengths: list[int], places: list[int]) -> None:
    class Counts(Chat):
        def found_terminator(self) -> None:
            assert self.terminator == 0
            super().found_terminator()
            self.set_terminator(lengths[len(self.found)] if len(self.found) < len(lengths) else None)

    channel = chat(*cut_at(data, places), kind=Counts, terminator=lengths[0] if lengths else None)
    play(channel)
    expected, at = [], 0
    while len(expected) < len(lengths) and at + lengths[len(expected)] <= len(data):
        expected.append(data[at : at + lengths[len(expected)]])
        at += len(expected[-1])
    assert channel.found == expected
    assert b"".join(channel.incoming) == data[at:]
    if len(expected) < len(lengths):
        assert channel.get_terminator() == lengths[len(expected)] - (len(data) - at)


def test_an_integer_counts_down() -> None:
    channel = chat(b"abc", b"defg", terminator=10)
    channel.handle_read()
    assert channel.terminator == 7
    channel.handle_read()
    assert channel.get_terminator() == 3
    assert channel.found == []


@pytest.mark.parametrize("nothing", [None, 0, b"", bytearray()])
def test_without_a_terminator_all_is_collected_without_end(nothing: Any) -> None:
    channel = chat(b"a\r\n", b"b\r\n", terminator=nothing)
    play(channel)
    assert channel.pieces == [b"a\r\n", b"b\r\n"]
    assert channel.found == []


@pytest.mark.parametrize("cut", list(every_cut(b"3\r\nabc5\r\nde\r\nf0\r\n\r\nrest")), ids=lambda cut: str(len(cut[0])))
def test_a_terminator_changed_when_found_holds_for_the_rest_of_the_buffer(cut: list[bytes]) -> None:
    class Sized(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            if len(self.found) % 2 == 0:
                self.set_terminator(b"\r\n")
            else:
                self.set_terminator(int(self.found[-1]) or b"\r\n")

    channel = chat(*cut, kind=Sized)
    play(channel)
    assert channel.found == [b"3", b"abc", b"5", b"de\r\nf", b"0", b""]
    assert b"".join(channel.incoming) == b"rest"


def test_a_terminator_changed_while_collecting_holds_from_the_next_search() -> None:
    class Changes(Chat):
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            self.set_terminator(b"!")

    channel = chat(b"abc", b"def!g", kind=Changes, terminator=100)
    play(channel)
    assert channel.found == [b"abcdef"]


@pytest.mark.parametrize("wrong", ["\r\n", 1.5, [1], object()])
def test_what_cannot_be_a_terminator_is_refused_at_once(wrong: Any) -> None:
    channel = chat()
    with pytest.raises(TypeError, match="terminator"):
        channel.set_terminator(wrong)
    assert channel.get_terminator() == b"\r\n"


def test_a_negative_terminator_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        chat().set_terminator(-1)


def test_a_terminator_that_can_change_is_copied() -> None:
    terminator = bytearray(b"\r\n")
    channel = chat(b"a\r\nb", terminator=terminator)
    terminator[:] = b"xx"
    play(channel)
    assert channel.found == [b"a"]
    channel.set_terminator(memoryview(b"--"))
    assert channel.get_terminator() == b"--"


def test_the_abstract_methods() -> None:
    channel = asynchat.async_chat()
    with pytest.raises(NotImplementedError):
        channel.collect_incoming_data(b"x")
    with pytest.raises(NotImplementedError):
        channel.found_terminator()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_an_overridden_get_terminator_may_give_whatever_has_bytes(kind: Callable[[bytes], Any]) -> None:
    class Own(Chat):
        def get_terminator(self) -> Any:
            return kind(b";")

    channel = chat(b"a;b", b";c", kind=Own)
    play(channel)
    assert channel.found == [b"a", b"b"]


def test_an_overridden_get_terminator_is_asked() -> None:
    class Own(Chat):
        def get_terminator(self) -> bytes:
            return b";"

    channel = chat(b"a;b", kind=Own)
    play(channel)
    assert channel.found == [b"a"]


def test_encoding_where_it_is_asked_for() -> None:
    class Text(Chat):
        use_encoding = True
        encoding = "utf-8"

        def recv(self, size: int) -> Any:
            return super().recv(size).decode("utf-8")

    channel = chat("é;ü".encode(), kind=Text, terminator=";")
    assert channel.get_terminator() == b";"
    play(channel)
    assert channel.found == ["é".encode()]
    channel.socket.takes.extend([3, BLOCKS, 1])
    channel.push_with_producer("äöü-€")
    channel.push(b"after")
    play(channel)
    assert channel.socket.sent == "äöü-€after".encode()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_recv_that_gives_another_kind_of_bytes(kind: Any) -> None:
    class Own(Chat):
        def recv(self, size: int) -> Any:
            return kind(super().recv(size))

    channel = chat(b"a\r\nb", kind=Own)
    play(channel)
    assert channel.found == [b"a"]


# ---- the buffer, as programs see it


def test_a_program_sees_what_is_still_to_be_taken_and_may_forget_it() -> None:
    seen = []

    class Looks(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            seen.append(self.ac_in_buffer)
            if self.found[-1] == b"flush":
                self.ac_in_buffer = b""

    channel = chat(b"one\r\nflush\r\nignored\r\n", b"two\r\n", kind=Looks)
    play(channel)
    assert seen == [b"flush\r\nignored\r\n", b"ignored\r\n", b""]
    assert channel.found == [b"one", b"flush", b"two"]


def test_reading_goes_by_the_buffer_size() -> None:
    class Small(Chat):
        ac_in_buffer_size = 3

    channel = chat(b"abcdefg\r\n", kind=Small)
    play(channel)
    assert set(channel.socket.asked) == {3}
    assert channel.found == [b"abcdefg"]


def test_nothing_to_read_after_all_is_no_error() -> None:
    channel = chat(BLOCKS)
    channel.handle_read()
    assert channel.closes == 0


def test_a_failing_read_goes_to_handle_error(caplog: pytest.LogCaptureFixture) -> None:
    channel = chat(OSError(errno.EIO, "broken"))
    channel.handle_read()
    assert channel.closes == 1
    assert "broken" in caplog.text


@pytest.mark.parametrize("end", [EOF, RESET])
def test_the_end_closes(end: Any) -> None:
    channel = chat(b"half a li", end)
    play(channel)
    assert channel.closes == 1
    assert channel.socket.closed == 1
    assert channel.found == []


def test_discard_buffers_forgets_everything() -> None:
    channel = chat(b"abc\r", takes=[BLOCKS])
    play(channel)
    channel.push(b"unsent")
    channel.discard_buffers()
    assert (channel.ac_in_buffer, channel.incoming, list(channel.producer_fifo)) == (b"", [], [])
    channel.socket.takes.append(2)
    channel.push(b"sent")
    play(channel)
    assert channel.socket.sent == b"sent"


# ---- closing


@pytest.mark.parametrize("cut", list(every_cut(b"one\r\nquit\r\ntwo\r\nthr")), ids=lambda cut: str(len(cut[0])))
def test_nothing_is_called_after_close(cut: list[bytes]) -> None:
    class Quits(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            if self.found[-1] == b"quit":
                self.close()

    channel = chat(*cut, kind=Quits)
    play(channel)
    assert channel.found == [b"one", b"quit"]
    assert channel.incoming == []


@pytest.mark.parametrize("terminator", [b"\r\n", 3])
def test_no_terminator_is_found_when_collecting_closes(terminator: Any) -> None:
    class Quits(Chat):
        def collect_incoming_data(self, data: bytes) -> None:
            self.close()

    channel = chat(b"one\r\ntwo\r\n", kind=Quits, terminator=terminator)
    play(channel)
    assert channel.found == []


def test_by_default_input_is_served_until_the_close() -> None:
    class Quits(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            self.close_when_done()

    channel = chat(b"one\r\ntwo\r\n", kind=Quits)
    play(channel)
    assert channel.found == [b"one", b"two"]
    assert channel.closes == 1


def test_close_when_done_waits_for_the_queue_and_closes_then() -> None:
    channel = chat(takes=[3, BLOCKS, 100])
    channel.push(b"farewell")
    channel.close_when_done()
    assert channel.producer_fifo[-1] is None
    assert channel.closes == 0
    play(channel)
    assert channel.socket.sent == b"farewell"
    assert channel.closes == 1


def test_a_half_close_ends_an_old_program_at_once() -> None:
    channel = chat(EOF, takes=[3, BLOCKS])
    channel.push(b"answer")
    play(channel)
    assert channel.socket.sent == b"ans"
    assert channel.closes == 1


class Answers(Chat):
    answers_after_eof = True


def test_a_half_close_waits_for_the_answer_where_that_is_turned_on() -> None:
    channel = chat(EOF, takes=[3, BLOCKS, 100], kind=Answers)
    channel.push(b"answer")
    play(channel)
    assert channel.socket.sent == b"answer"
    assert channel.closes == 1
    assert not channel.readable()


def test_a_half_close_with_nothing_queued_closes_at_once() -> None:
    channel = chat(EOF, kind=Answers)
    play(channel)
    assert channel.closes == 1


def test_a_closed_channel_can_begin_anew() -> None:
    class Rude(Chat):
        stops_when_closing = answers_after_eof = True

    channel = chat(b"a\r\n", EOF, kind=Rude)
    play(channel)
    channel.set_socket(ScriptedSocket([b"b\r\n"]))
    channel.connected = True
    channel.push(b"again")
    play(channel)
    assert channel.found == [b"a", b"b"]
    assert channel.socket.sent == b"again"


def test_a_program_that_calls_only_the_dispatchers_constructor() -> None:
    class Old(Chat):
        def __init__(self, sock: Any) -> None:
            self.ac_in_buffer = b""
            self.incoming = []
            self.producer_fifo = deque()
            self.pieces, self.found, self.closes = [], [], 0
            asyncore.dispatcher.__init__(self, sock, {})
            self.terminator = b"\r\n"

    channel = Old(ScriptedSocket([b"a\r\n"]))
    channel.push(b"b")
    play(channel)
    assert channel.found == [b"a"]
    assert channel.socket.sent == b"b"


def test_a_program_whose_class_has_a_buffer_of_that_name() -> None:
    class Old(Chat):
        ac_in_buffer: Any = ""

    channel = chat(b"a\r", b"\nb\r\n", kind=Old)
    play(channel)
    assert channel.found == [b"a", b"b"]


# ---- pausing


def test_while_paused_nothing_is_read_nor_taken() -> None:
    class Polite(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            self.pause_input()

    channel = chat(b"one\r\ntwo\r\nthree\r\n", b"four\r\n", kind=Polite)
    for count in (1, 2, 3, 4):
        play(channel)
        assert len(channel.found) == count
        assert not channel.readable()
        channel.resume_input()
    assert channel.found == [b"one", b"two", b"three", b"four"]


def test_input_may_be_resumed_where_it_was_paused() -> None:
    class Blinks(Chat):
        def found_terminator(self) -> None:
            super().found_terminator()
            self.pause_input()
            self.resume_input()

    channel = chat(b"one\r\ntwo\r\n", kind=Blinks)
    play(channel)
    assert channel.found == [b"one", b"two"]


# ---- pushing


def test_push_sends_at_once() -> None:
    channel = chat()
    channel.push(b"now")
    assert channel.socket.sent == b"now"
    assert not channel.producer_fifo


@pytest.mark.parametrize("data", [b"data", bytearray(b"data"), memoryview(b"data")])
def test_push_takes_anything_byte_ish(data: Any) -> None:
    channel = chat()
    channel.push(data)
    assert channel.socket.sent == b"data"


@pytest.mark.parametrize("data", ["text", 10, None, [b"x"]])
def test_push_refuses_anything_else(data: Any) -> None:
    with pytest.raises(TypeError, match="byte-ish"):
        chat().push(data)


def test_a_channel_that_is_not_connected_keeps_what_is_pushed() -> None:
    channel = Chat()
    channel.push(b"hello")
    channel.set_socket(ScriptedSocket())
    assert channel.writable()
    channel.connected = True
    channel.handle_write()
    assert channel.socket.sent == b"hello"
    assert not channel.writable()


@given(
    items=st.lists(st.one_of(st.binary(max_size=20), st.lists(st.binary(max_size=8), max_size=4)), max_size=8),
    takes=st.lists(st.one_of(st.integers(0, 12), st.just(BLOCKS)), max_size=30),
    size=st.integers(1, 25),
)
def test_whatever_is_queued_is_sent_in_order_however_it_is_taken(items: list[Any], takes: list[Any], size: int) -> None:
    class Sized(Chat):
        ac_out_buffer_size = size

    channel = chat(takes=takes, kind=Sized)
    expected = b""
    for item in items:
        if isinstance(item, bytes):
            channel.push(item)
            expected += item
        else:
            # An empty piece ends a producer.
            channel.push_with_producer(Gives(*item))
            expected += b"".join(item[: item.index(b"")] if b"" in item else item)
    channel.close_when_done()
    play(channel)
    assert channel.socket.sent == expected
    assert channel.ac_bytes_sent == len(expected)
    assert channel.closes == 1
    assert all(0 < offered <= size for offered in channel.socket.offered)


def test_many_small_pieces_go_together(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    calls = []

    class Counts(Chat):
        def ac_send_pieces(self, pieces: list[Any], more: bool) -> int:
            calls.append(len(pieces))
            return super().ac_send_pieces(pieces, more)

    channel = Counts(ours)
    channel.connected = False
    for n in range(100):
        channel.push(b"%d," % n)
    channel.connected = True
    channel.handle_write()
    assert theirs.recv(1000) == b"".join(b"%d," % n for n in range(100))
    assert len(calls) == 2


@pytest.mark.parametrize("why", [RESET, BROKEN])
def test_a_lost_connection_found_while_sending_closes(why: OSError) -> None:
    channel = chat(takes=[2, why])
    channel.push(b"12")
    channel.push(b"34")
    assert channel.closes == 1
    channel.push(b"late")
    assert channel.socket.sent == b"12"


def test_another_error_while_sending_goes_to_handle_error(caplog: pytest.LogCaptureFixture) -> None:
    channel = chat(takes=[OSError(errno.EIO, "no more")])
    channel.push(b"12")
    assert channel.closes == 1
    assert "no more" in caplog.text


def test_one_channel_leaves_time_to_the_others() -> None:
    channel = chat()
    channel.ac_out_buffer_size = 1 << 16
    channel.push(b"x" * 3 * asynchat.SEND_ALLOWANCE)
    assert len(channel.socket.sent) == asynchat.SEND_ALLOWANCE
    assert channel.writable()
    play(channel)
    assert len(channel.socket.sent) == 3 * asynchat.SEND_ALLOWANCE


def test_a_producer_of_crumbs_leaves_time_to_the_others() -> None:
    class Crumbs:
        def more(self) -> bytes:
            return b"."

    channel = chat()
    channel.push_with_producer(Crumbs())
    assert 1 < len(channel.socket.sent) < 1000


# ---- producers


class Gives:
    """A producer of the given outcomes, then exhausted."""

    def __init__(self, *outcomes: bytes | None) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0
        self.closed = 0

    def more(self) -> bytes | None:
        self.asked += 1
        return self.outcomes.pop(0) if self.outcomes else b""

    def close(self) -> None:
        self.closed += 1


class Stalls(Chat):
    producers_may_stall = True


def test_a_producer_is_asked_only_as_fast_as_its_data_is_taken() -> None:
    producer = Gives(b"one", b"two", b"three")
    channel = chat(takes=[3, 1, BLOCKS], kind=Chat)
    channel.push_with_producer(producer)
    assert producer.asked == 2
    assert producer.closed == 0
    play(channel)
    assert channel.socket.sent == b"onetwothree"
    assert producer.closed == 1


def test_none_ends_the_producer_of_an_old_program() -> None:
    channel = chat()
    producer = Gives(b"one", None, b"two")
    channel.push_with_producer(producer)
    channel.push(b"next")
    assert channel.socket.sent == b"onenext"
    assert producer.closed == 1


def test_none_means_nothing_yet_where_that_is_turned_on() -> None:
    channel = chat(kind=Stalls)
    producer = Gives(b"one", None, b"two")
    channel.push_with_producer(producer)
    channel.close_when_done()
    assert channel.socket.sent == b"one"
    # It costs nothing while it waits: it is not even asked whether it can send.
    assert not channel.writable()
    channel.wake()
    play(channel)
    assert channel.socket.sent == b"onetwo"
    assert (producer.closed, channel.closes) == (1, 1)


def test_waking_a_producer_that_has_still_nothing_is_harmless() -> None:
    channel = chat(kind=Stalls)
    channel.push_with_producer(Gives(None, None, None, b"x"))
    for _ in range(3):
        assert channel.socket.sent == b""
        channel.wake()
    assert channel.socket.sent == b"x"


def test_what_a_stalled_producer_gives_when_asked_again_waits_for_room() -> None:
    channel = chat(takes=[2, BLOCKS], kind=Stalls)
    channel.push_with_producer(Gives(None, b"12345"))
    channel.push(b"behind it")
    assert channel.socket.sent == b"12"
    assert channel.writable()
    play(channel)
    assert channel.socket.sent == b"12345behind it"


def test_a_producer_that_wakes_its_channel_while_it_is_asked_is_asked_again() -> None:
    class Wakes(Gives):
        def more(self) -> bytes | None:
            data = super().more()
            if data is None:
                channel.wake()
            return data

    channel = chat(kind=Stalls)
    channel.push_with_producer(Wakes(None, b"x"))
    assert channel.writable()
    play(channel)
    assert channel.socket.sent == b"x"


class Waits(Gives):
    """Keeps what it is given to call."""

    def __init__(self, *outcomes: bytes | None) -> None:
        super().__init__(*outcomes)
        self.wakes: list[Callable[[], object]] = []

    def stalled(self, wake: Callable[[], object]) -> None:
        self.wakes.append(wake)


def test_a_producer_that_has_nothing_yet_is_told_whom_to_wake() -> None:
    channel = chat(kind=Stalls)
    producer = Waits(None, b"one", None, None, b"two")
    channel.push_with_producer(producer)
    for _ in range(3):
        producer.wakes[-1]()
    assert len(producer.wakes) == 3
    assert channel.socket.sent == b"onetwo"
    producer.wakes[-1]()
    assert producer.closed == 1


def test_a_producer_may_say_when_it_is_to_be_asked_again(pair: tuple[socket.socket, socket.socket]) -> None:
    class Pauses(Gives):
        def stalled(self, wake: Callable[[], object]) -> float:
            return 0.01

    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Stalls(ours, channels)
    channel.push_with_producer(Pauses(None, None, b"x"))
    assert not channel.writable()
    turn(channels, lambda: channel.ac_bytes_sent == 1)
    assert theirs.recv(10) == b"x"
    channel.close()


def test_a_producer_that_wakes_its_channel_as_soon_as_it_is_told_is_asked_again_in_the_next_turn() -> None:
    class Eager(Waits):
        def stalled(self, wake: Callable[[], object]) -> None:
            wake()

    channel = chat(kind=Stalls)
    channel.push_with_producer(Eager(b"one", None, None, b"two"))
    assert channel.socket.sent == b"one"
    assert channel.writable()
    channel.handle_write()
    assert channel.socket.sent == b"one"
    assert channel.writable()
    channel.handle_write()
    assert channel.socket.sent == b"onetwo"


def test_a_producer_of_an_old_program_is_told_nothing() -> None:
    channel = chat()
    producer = Waits(b"one", None)
    channel.push_with_producer(producer)
    assert (producer.wakes, channel.socket.sent) == ([], b"one")


def test_a_producer_may_give_another_producer() -> None:
    channel = chat()
    inner: Any = Gives(b"inner")
    channel.push_with_producer(Gives(b"before ", inner, b" after"))
    play(channel)
    assert channel.socket.sent == b"before inner after"


def test_a_producer_that_fills_one_buffer_again_and_again() -> None:
    class Reuses:
        buffer = bytearray(4)
        left = 3

        def more(self) -> Any:
            self.left -= 1
            self.buffer[:] = b"%04d" % self.left
            return self.buffer if self.left >= 0 else b""

    channel = chat(takes=[1, BLOCKS, 2, BLOCKS])
    channel.push_with_producer(Reuses())
    Reuses.buffer[:] = b"----"
    play(channel)
    assert channel.socket.sent == b"000200010000"


def test_other_things_with_bytes_may_be_queued() -> None:
    channel = chat(takes=[2, BLOCKS])
    with mmap.mmap(-1, 4) as mapped:
        mapped[:] = b"mmap"
        channel.producer_fifo.extend([mapped, array.array("H", b"array!"), bytearray(b"bytearray"), b""])
        play(channel)
        assert channel.socket.sent == b"mmaparray!bytearray"
        channel.socket.sent.clear()


@pytest.mark.parametrize("thing", ["text", 5])
def test_what_has_no_bytes_cannot_be_sent(thing: Any) -> None:
    channel = chat()
    with pytest.raises(TypeError):
        channel.push_with_producer(thing)


def test_a_producer_that_raises_is_an_error_of_the_channel(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Gives):
        def more(self) -> bytes:
            raise ValueError("no more bytes")

    producer = Fails()
    channel = Chat(ScriptedSocket())
    channel.connected = False
    channel.push_with_producer(producer)
    channel.connected = True
    asyncore.write(channel)
    assert (channel.closes, producer.closed) == (1, 1)
    assert "no more bytes" in caplog.text


def test_a_producer_whose_close_fails_does_not_hinder_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Gives):
        def close(self) -> None:
            raise ValueError("cannot close")

    channel = chat(takes=[BLOCKS] * 3)
    last = Gives()
    for producer in (Gives(b"x"), Fails(), last):
        channel.push_with_producer(producer)
    channel.close()
    assert last.closed == 1
    assert "cannot close" in caplog.text


def test_a_producer_that_empties_the_queue_while_it_is_asked() -> None:
    class Empties(Gives):
        def more(self) -> bytes:
            channel.discard_buffers()
            return b"forgotten"

    channel = chat()
    producer = Empties()
    channel.push_with_producer(producer)
    channel.push(b"kept")
    assert channel.socket.sent == b"kept"
    assert producer.closed == 1


def test_a_send_that_pushes_is_not_entered_twice() -> None:
    class Chatty(Chat):
        def found_terminator(self) -> None:
            self.push(b"answer")

        def ac_refill(self, producer: Any) -> Any:
            data = super().ac_refill(producer)
            if data:
                self.push(b"(said)")
            return data

    channel = chat(kind=Chatty)
    channel.push_with_producer(Gives(b"1", b"2"))
    assert channel.socket.sent == b"12(said)(said)"


def test_close_while_the_farewell_is_pushed() -> None:
    class Says(Chat):
        def handle_close(self) -> None:
            self.push(b"bye")
            super().handle_close()

    channel = chat(kind=Says)
    channel.push(b"data ")
    channel.close_when_done()
    play(channel)
    assert channel.closes == 1


def test_the_queue_is_the_programs_to_change() -> None:
    channel = chat(takes=[BLOCKS])
    channel.push(b"old")
    assert isinstance(channel.producer_fifo, deque)
    channel.producer_fifo = deque([b"new ", b"queue"])
    channel.producer_fifo.appendleft(b"a ")
    play(channel)
    assert channel.socket.sent == b"a new queue"


def test_a_queue_that_was_taken_out_is_nobodys() -> None:
    channel = chat(takes=[BLOCKS])
    channel.push(b"old")
    before, again = channel.producer_fifo, Gives(b"1")
    channel.producer_fifo = deque([b"new"])
    before.append(again)
    before.clear()
    play(channel)
    assert channel.socket.sent == b"new"
    assert again.closed == 0


def test_producers_that_a_program_drops_from_the_queue_are_closed_once() -> None:
    cleared, dropped, kept = Gives(b"1"), Gives(b"2"), Gives(b"3")
    channel = chat(takes=[BLOCKS] * 9)
    channel.push(b"x")
    channel.push_with_producer(cleared)
    channel.producer_fifo.clear()
    assert cleared.closed == 1
    channel.push(b"x")
    channel.push_with_producer(dropped)
    channel.push_with_producer(kept)
    before = channel.producer_fifo
    channel.producer_fifo = deque([kept])
    assert (dropped.closed, kept.closed) == (1, 0)
    before.clear()
    assert kept.closed == 0
    channel.close()
    assert (cleared.closed, dropped.closed, kept.closed) == (1, 1, 1)


def test_what_a_program_takes_out_of_the_queue_is_its_own() -> None:
    producer = Gives(b"1")
    channel = chat(takes=[BLOCKS] * 9)
    channel.push(b"x")
    channel.push_with_producer(producer)
    queue = channel.producer_fifo
    assert queue.pop() is producer
    queue.appendleft(b"first ")
    queue.extendleft([b"ve", b"ry "])
    play(channel)
    assert channel.socket.sent == b"ry vefirst x"
    assert producer.closed == 0


def test_a_queue_that_is_nobodys_business_is_a_plain_one() -> None:
    channel = chat()
    channel.push(b"x")
    assert type(channel._ac_fifo) is deque


def test_only_who_has_a_queue_of_the_programs_own_is_asked_on_every_pass(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    asked: list[Any] = []

    class Asked(Chat):
        @announced
        def writable(self) -> bool:
            asked.append(self)
            return super().writable()

    channels: dict[int, Any] = {}
    own, plain = (Asked(sock, channels) for sock in pair)
    assert plain.producer_fifo is plain.producer_fifo
    own.producer_fifo = deque()
    own.producer_fifo = deque()
    asyncore.loop(timeout=0, map=channels, count=1)
    asked.clear()
    asyncore.loop(timeout=0, map=channels, count=5)
    assert asked == [own] * 5


class Waiting(Chat):
    """Counts how often it is asked whether it waits for room."""

    announces_all = True
    asked = 0

    @announced
    def writable(self) -> bool:
        self.asked += 1
        return super().writable()


@pytest.fixture
def waiting(pair: tuple[socket.socket, socket.socket]) -> Waiting:
    """A channel whose peer takes nothing yet, and of which the loop knows that it waits for room."""
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    channel = Waiting(pair[0], {})
    asyncore.loop(timeout=0, map=channel._map, count=1)
    channel.push(bytes(1 << 18))
    asyncore.loop(timeout=0, map=channel._map, count=2)
    assert channel.writable()
    return channel


def take(theirs: socket.socket, channel: Chat, amount: int) -> None:
    """Have the peer take so much of what the loop sends."""
    theirs.setblocking(False)
    taken = 0

    def some() -> bool:
        nonlocal taken
        with contextlib.suppress(BlockingIOError):
            taken += len(theirs.recv(min(amount - taken, 1 << 16)))
        return taken == amount

    turn(channel._map, some)


def test_who_goes_on_waiting_for_room_is_not_asked_after_every_piece(
    waiting: Waiting, pair: tuple[socket.socket, socket.socket]
) -> None:
    asked = waiting.asked
    take(pair[1], waiting, 1 << 17)
    assert waiting.asked == asked
    take(pair[1], waiting, 1 << 17)
    assert not waiting.producer_fifo


def test_a_queue_that_is_filled_again_while_there_is_no_room_is_sent(
    waiting: Waiting, pair: tuple[socket.socket, socket.socket]
) -> None:
    waiting.discard_buffers()
    # The loop hears that nothing waits, by whatever it asks for.
    waiting.interest_changed()
    asyncore.loop(timeout=0, map=waiting._map, count=1)
    gone = waiting.ac_bytes_sent
    waiting.push(bytes(1 << 18))
    take(pair[1], waiting, gone + (1 << 18))


def test_a_channel_that_begins_anew_waits_for_room_again(
    waiting: Waiting, pair: tuple[socket.socket, socket.socket]
) -> None:
    channels = waiting._map
    waiting.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        waiting.set_socket(ours)
        waiting.connected = True
        asyncore.loop(timeout=0, map=channels, count=1)
        waiting.push(bytes(1 << 18))
        take(theirs, waiting, 1 << 18)


def test_what_another_thread_pushes_is_looked_at_whatever_the_loop_knows(waiting: Waiting) -> None:
    asked = waiting.asked
    thread = threading.Thread(target=waiting.push, args=(b"x",))
    thread.start()
    thread.join()
    asyncore.loop(timeout=0, map=waiting._map, count=1)
    assert waiting.asked == asked + 1


@pytest.mark.parametrize("step", range(1, 60))
def test_another_thread_may_push_between_any_two_steps_of_a_send(step: int) -> None:
    """A thread may have its turn between any two instructions; here it does after so many of them."""
    channel = chat()
    channel.ac_enqueue(b"a")
    channel.ac_enqueue(b"b")
    left = [step]

    def traced(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is not asynchat.async_chat._ac_gather.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] == 0:
                channel._ac_fifo.append(b"c")
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        channel.initiate_send()
    finally:
        sys.settrace(before)
    play(channel)
    assert channel.socket.sent == (b"abc" if left[0] <= 0 else b"ab")


# ---- overridden hooks


def test_an_overridden_send_gets_everything_one_piece_of_bytes_a_turn() -> None:
    sizes = []

    class Limits(Chat):
        ac_out_buffer_size = 10

        def send(self, data: Any) -> int:
            assert isinstance(data, bytes)
            sizes.append(len(data))
            return super().send(data[:4])

    channel = chat(kind=Limits)
    channel.push(b"0123456789abcdef")
    assert sizes == [10]
    channel.handle_write()
    assert channel.socket.sent == b"01234567"
    play(channel)
    assert channel.socket.sent == b"0123456789abcdef"


def test_a_send_that_says_nothing_has_sent_nothing() -> None:
    channel = chat()
    channel.send = lambda data: None  # type: ignore[assignment,method-assign,return-value]
    channel.push(b"x")
    assert list(channel.producer_fifo) == [b"x"]


def test_send_as_an_instance_attribute(pair: tuple[socket.socket, socket.socket]) -> None:
    channel = Chat(pair[0])
    sent = []
    channel.send = lambda data: sent.append(data) or len(data)  # type: ignore[func-returns-value,method-assign]
    channel.push(b"a")
    channel.push(b"b")
    channel.handle_write()
    assert sent == [b"a", b"b"]


def test_initiate_send_as_an_instance_attribute() -> None:
    channel = chat()
    calls = []
    channel.initiate_send = lambda: calls.append(list(channel.producer_fifo))  # type: ignore[method-assign]
    channel.push(b"a")
    channel.push_with_producer(b"b")  # type: ignore[arg-type]
    channel.handle_write()
    assert calls == [[b"a"], [b"a", b"b"], [b"a", b"b"]]
    assert channel.socket.sent == b""


def test_recv_overridden() -> None:
    class Shouts(Chat):
        def recv(self, size: int) -> bytes:
            return super().recv(size).upper()

    channel = chat(b"quiet\r\n", kind=Shouts)
    play(channel)
    assert channel.found == [b"QUIET"]


def test_the_modules_names_that_programs_reach_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asynchat.asyncore is asyncore
    assert asynchat.find_prefix_at_end(b"qwerty\r", b"\r\n") == 1
    assert asynchat.find_prefix_at_end(b"qwertydkjf", b"\r\n") == 0
    assert asynchat.find_prefix_at_end("ab", "abc") == 2  # type: ignore[arg-type]
    # Looked up at the call.
    monkeypatch.setattr(asynchat, "find_prefix_at_end", lambda haystack, needle: 0)
    channel = chat(b"abc\r")
    play(channel)
    assert channel.pieces == [b"abc\r"]


def test_a_program_may_use_whatever_names_it_likes() -> None:
    """What is new here has a prefix that no program has, or is a name that is documented as new."""
    known = """
        ac_in_buffer ac_in_buffer_size ac_out_buffer_size close_when_done collect_incoming_data discard_buffers encoding
        found_terminator get_terminator handle_close handle_read handle_write initiate_send push push_with_producer
        readable set_terminator use_encoding writable _collect_incoming_data _get_data incoming producer_fifo terminator
        close set_socket handle_eof
    """
    new = """
        answers_after_eof producers_may_stall stops_when_closing pause_input resume_input take_input output_sent wake
    """
    names = {name for name in vars(asynchat.async_chat) if not name.startswith("__")}
    names |= set(vars(asynchat.async_chat(map={}))) - set(vars(asyncore.dispatcher(map={})))
    assert {name for name in names if not name.startswith(("ac_", "_ac_"))} <= set((known + new).split())


def test_a_program_with_attributes_of_its_own() -> None:
    class Own(Chat):
        def __init__(self, sock: Any) -> None:
            self._closed = self._sending = self._eof = self._paused = self._stalled = True
            self.bytes_sent = self.scan = self.refill = self.send_file = "mine"
            super().__init__(sock)

        def _send_data(self) -> None:
            raise AssertionError

        _refill = _take = _gather = _send_file = _send_data

    channel = Own(ScriptedSocket([b"a\r\nb"]))
    channel.push_with_producer(Gives(b"1", b"2"))
    play(channel)
    assert channel.found == [b"a"]
    assert channel.socket.sent == b"12"
    assert channel.bytes_sent == "mine"


# ---- fifo and simple_producer


def test_fifo_as_python_2_documented_it() -> None:
    queue = asynchat.fifo()
    assert queue.is_empty()
    assert len(queue) == 0
    assert queue.pop() == (False, None)
    queue.push("first")
    queue.push("second")
    assert not queue.is_empty()
    assert len(queue) == 2
    assert queue.first() == "first"
    assert queue.pop() == (True, "first")
    assert queue.pop() == (True, "second")
    assert queue.pop() == (False, None)
    with pytest.raises(IndexError):
        queue.first()


def test_a_fifo_may_begin_with_a_list() -> None:
    queue = asynchat.fifo([1, 2])
    queue.push(3)
    assert [queue.pop() for _ in range(4)] == [(True, 1), (True, 2), (True, 3), (False, None)]


@pytest.mark.parametrize(("size", "pieces"), [(512, [b"abcdefg"]), (3, [b"abc", b"def", b"g"]), (7, [b"abcdefg"])])
def test_simple_producer(size: int, pieces: list[bytes]) -> None:
    producer = asynchat.simple_producer(b"abcdefg", size)
    assert [producer.more() for _ in pieces] == pieces
    assert producer.more() == b""
    assert producer.more() == b""


def test_a_simple_producer_gives_512_bytes_at_a_time() -> None:
    producer = asynchat.simple_producer(b"x" * 1000)
    assert [len(producer.more()) for _ in range(3)] == [512, 488, 0]


def test_a_program_sees_what_a_simple_producer_has_still_to_give_and_may_change_it() -> None:
    producer = asynchat.simple_producer(b"abcdefg", 3)
    assert producer.more() == b"abc"
    assert producer.data == b"defg"
    producer.data = b"xy" + producer.data
    producer.buffer_size = 4
    assert [producer.more() for _ in range(3)] == [b"xyde", b"fg", b""]


# ---- files


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[OpenFile, bytes]]:
    """An open file and its bytes."""
    data = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(data)
    opened = OpenFile(os.open(tmp_path / "file", os.O_RDONLY))
    yield opened, data
    opened.release()
    assert opened.fd == -1, "somebody still holds the file"


def receive(sock: socket.socket) -> bytes:
    data = bytearray()
    while piece := sock.recv(1 << 16):
        data += piece
    return bytes(data)


def plain_send(self: Chat, data: Any) -> int:
    """What an override is: another function, whatever it does."""
    return asyncore.dispatcher.send(self, data)


@pytest.mark.parametrize("plain", [True, False], ids=["sendfile", "more"])
def test_a_file_follows_its_head(
    file: tuple[OpenFile, bytes], pair: tuple[socket.socket, socket.socket], plain: bool
) -> None:
    opened, data = file
    ours, theirs = pair
    asked = []

    class Sends(Chat):
        def ac_refill(self, producer: Any) -> Any:
            asked.append(producer)
            return super().ac_refill(producer)

    if not plain:
        Sends.send = plain_send  # type: ignore[method-assign]
    channels: dict[int, Any] = {}
    channel = Sends(ours, channels)
    channel.push(b"head:")
    channel.push_with_producer(file_producer(opened, 100, len(data) - 200))
    channel.push_with_producer(file_producer(opened, 0, 0))
    channel.push(b":tail")
    channel.close_when_done()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(receive(theirs)))
    thread.start()
    turn(channels, lambda: not channels, turns=2000)
    thread.join()
    assert got == [b"head:" + data[100:-100] + b":tail"]
    assert bool(asked) is not plain
    assert channel.ac_bytes_sent == len(got[0])


def test_a_file_is_given_back_when_the_peer_is_gone(
    file: tuple[OpenFile, bytes], pair: tuple[socket.socket, socket.socket]
) -> None:
    opened, data = file
    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Chat(ours, channels)
    channel.push_with_producer(file_producer(opened, 0, len(data)))
    theirs.close()
    turn(channels, lambda: not channels)
    assert channel.closes == 1


def test_a_file_that_shrinks_cuts_the_connection(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    opened = OpenFile(os.open(path, os.O_RDONLY))
    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Chat(ours, channels)
    channel.push_with_producer(file_producer(opened, 0, 3_000_000))
    opened.release()
    os.truncate(path, 1000)
    with caplog.at_level(logging.ERROR):
        turn(channels, lambda: (theirs.recv(1 << 16), not channels)[1])
    assert channel.closes == 1
    assert opened.fd == -1
    assert "changed" in caplog.text


# ---- over real sockets


@pytest.mark.parametrize("pieces", [[LINES], one_by_one(LINES)], ids=["whole", "byte by byte"])
def test_lines_over_a_real_socket(pair: tuple[socket.socket, socket.socket], pieces: list[bytes]) -> None:
    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Chat(ours, channels)
    for piece in pieces:
        theirs.sendall(piece)
        asyncore.loop(timeout=0.1, map=channels, count=1)
    assert channel.found == [b"GET / HTTP/1.0", b"\r", b"\n", b"last"]
    theirs.close()
    turn(channels, lambda: not channels)
    assert channel.closes == 1


def test_a_slow_reader_gets_everything(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Chat(ours, channels)
    data = os.urandom(800_000)
    channel.push(data)
    channel.close_when_done()
    got = bytearray()
    while channels:
        asyncore.loop(timeout=0.005, map=channels, count=1)
        got += theirs.recv(10_000)
    got += receive(theirs)
    assert got == data


def test_what_is_pushed_after_the_queue_was_cleared_in_a_read_is_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    class Resets(Chat):
        def found_terminator(self) -> None:
            self.discard_buffers()

    ours, theirs = pair
    channels: dict[int, Any] = {}
    channel = Resets(ours, channels)
    channel.push(b"x" * 1_000_000)
    theirs.sendall(b"reset\r\n")
    turn(channels, lambda: not channel.producer_fifo)
    asyncore.loop(timeout=0.01, map=channels, count=3)
    channel.push(b"y" * 1_000_000)
    channel.close_when_done()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(receive(theirs)))
    thread.start()
    turn(channels, lambda: not channels, turns=1000)
    thread.join()
    assert got[0].count(b"y") == 1_000_000


def test_a_client_connects_says_and_hears() -> None:
    channels: dict[int, Any] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Chat(None, channels)
        client.handle_connect = lambda: client.push(b"hello\r\n")  # type: ignore[method-assign]
        client.create_socket()
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            server.settimeout(5)
            turn(channels, lambda: client.connected)
            turn(channels, lambda: not client.producer_fifo)
            assert server.recv(100) == b"hello\r\n"
            server.sendall(b"welcome\r\n")
            turn(channels, lambda: client.found == [b"welcome"])
    turn(channels, lambda: not channels)
