"""Numbers that several processes write: each its own, any of them reads all, and none is lost with its writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from httpd.seeing.board import LONGEST, Board

from .tools import TOP


def nothing(slot: object) -> None:
    """A slot's beginning."""


@contextmanager
def child(does: Callable[[], None]) -> Iterator[int]:
    """A process that has done something, and waits to be killed."""
    done, told = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            does()
            os.write(told, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    try:
        assert os.read(done, 1) == b"."
        yield pid
    finally:
        os.close(done)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def counting(board: Board, amount: float) -> Callable[[], None]:
    def does() -> None:
        board.own(nothing)[1] += amount

    return does


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_each_process_has_a_slot_and_the_sum_outlives_it() -> None:
    board = Board(2)
    counting(board, 1)()
    with child(counting(board, 10)) as one:
        with child(counting(board, 100)) as two:
            assert board.sums()[1] == 111
            assert [(number, slot[0]) for number, slot in board.living()] == [(0, os.getpid()), (1, one), (2, two)]
        assert [slot[0] for _, slot in board.living()] == [os.getpid(), one]
        assert board.sums()[1] == 111
        # The next one goes on where the dead one has stopped.
        with child(counting(board, 1_000)) as three:
            assert [(number, slot[0]) for number, slot in board.living()][2] == (2, three)
            assert board.sums()[1] == 1_111
    assert board.sums()[1] == 1_111


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_where_all_slots_are_taken_a_process_counts_for_itself() -> None:
    board = Board(2, slots=1)
    board.own(nothing)[1] = 1
    with child(counting(board, 10)):
        assert board.sums() == [os.getpid(), 1]


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_each_tells_the_others_a_text() -> None:
    board = Board(1)

    def telling(text: bytes) -> Callable[[], None]:
        return lambda: board.own(nothing) and board.tell(text)

    telling(b"ours")()
    assert list(board.told()) == []
    with child(telling(b"one")):
        assert list(board.told()) == [b"one"]
        with child(telling(bytes(LONGEST))), child(telling(bytes(LONGEST + 1))):
            assert list(board.told()) == [b"one", bytes(LONGEST), b""]
    # Whoever takes the place of a dead one has told nothing yet.
    with child(lambda: board.own(nothing) and None):
        assert list(board.told()) == [b""]


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_text_of_which_half_is_written_is_none() -> None:
    board = Board(1)

    def half() -> None:
        board.own(nothing)
        board.tell(b"x" * 100)
        os.pwrite(board._texts, b"y" * 50, os.fstat(board._texts).st_size - 50)

    board.own(nothing)
    with child(half):
        assert list(board.told()) == [b""]


def test_a_slot_that_is_taken_begins_anew_once() -> None:
    board = Board(3)
    begun: list[float] = []

    def begin(slot: memoryview[float]) -> None:
        begun.append(slot[2])
        slot[2] = 7

    assert board.own(begin)[2] == 7
    assert board.own(begin)[2] == 7
    assert begun == [0]


def test_nobody_has_written_yet() -> None:
    assert Board(3).sums() == [0, 0, 0]
    assert list(Board(3).living()) == []


@pytest.mark.programs
def test_where_files_without_a_name_are_not_to_be_had() -> None:
    code = """
import os
del os.memfd_create
from httpd.seeing.board import LONGEST, Board
board = Board(2)
board.own(lambda slot: None)[1] = 5
print(board.sums()[1])
"""
    answer = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert answer.stdout == "5.0\n"
