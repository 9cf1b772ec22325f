"""A memory that stays small: what is asked for stays, what is not goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.memory import Memory


def test_what_was_put_is_there() -> None:
    memory: Memory[int] = Memory(4, 100)
    memory.put(b"a", 1)
    assert memory.get(b"a") == 1
    assert memory.get(b"b") is None
    assert len(memory) == 1


def test_what_is_asked_for_outlives_what_is_not() -> None:
    memory: Memory[int] = Memory(4, 100)
    memory.put(b"kept", 0)
    for number in range(50):
        memory.put(b"%d" % number, number)
        assert memory.get(b"kept") == 0
    assert memory.get(b"0") is None


def test_a_key_that_is_too_long_is_not_kept() -> None:
    memory: Memory[int] = Memory(4, 10)
    memory.put(b"a" * 6, 1)
    assert memory.get(b"a" * 6) is None


def test_a_memory_of_nothing() -> None:
    memory: Memory[int] = Memory(0, 0)
    memory.put(b"", 1)
    assert len(memory) == 0


@given(st.lists(st.binary(max_size=12)), st.integers(0, 8), st.integers(0, 40))
def test_the_bounds_hold_and_what_is_found_is_right(keys: list[bytes], count: int, size: int) -> None:
    memory: Memory[bytes] = Memory(count, size)
    for key in keys:
        assert memory.get(key) in (None, key)
        memory.put(key, key)
        assert len(memory) <= count


def test_what_is_offered_once_takes_no_place() -> None:
    memory: Memory[int] = Memory(4, 100)
    memory.offer(b"a", 1)
    assert memory.get(b"a") is None
    memory.offer(b"a", 2)
    assert memory.get(b"a") == 2


def test_what_was_offered_once_is_not_known_for_ever() -> None:
    memory: Memory[int] = Memory(4, 100)
    memory.offer(b"a", 1)
    for number in range(5_000):
        memory.offer(b"%d" % number, number)
    assert len(memory._offered) <= 4_096
    memory.offer(b"a", 1)
    assert memory.get(b"a") is None
