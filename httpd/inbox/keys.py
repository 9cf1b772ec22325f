"""A table that a person has written, read key by key.

What is not understood is refused with the path of its key: a form that quietly does something else than its owner has
written loses what people send.  A reader of values returns the value, or raises ValueError with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from ..nearest import meant
from ..protocol.grammar import late

__all__ = ["FormError", "Table", "count", "decimal", "flag", "one_of", "seconds", "size", "text", "texts"]

_T = TypeVar("_T")
_D = TypeVar("_D")

# The largest count that anything has.
_MOST = 1_000_000
# The longest that anything may take, in seconds.
_LONGEST = 600
_SIZE = late(r"([1-9][0-9]{0,11})([KMG]?)")
_SCALE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# bare-key = 1*( ALPHA / DIGIT / "-" / "_" )                                                      (TOML 1.0, Keys)
_BARE = late(r"[A-Za-z0-9_-]+")


class FormError(ValueError):
    """A declaration that cannot be used: `key` is the path of keys to what is wrong, the text a sentence about it."""

    def __init__(self, key: Iterable[str], told: str) -> None:
        super().__init__(told)
        self.key = tuple(key)

    def __str__(self) -> str:
        return f"{'.'.join(map(_written, self.key))}: {self.args[0]}"


def _written(key: str) -> str:
    """A key as TOML has it."""
    return key if _BARE.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Table:
    """A table, and where it stands.  Raises FormError where it is none."""

    def __init__(self, key: Iterable[str], table: Any) -> None:
        self.key = tuple(key)
        if not isinstance(table, Mapping):
            raise FormError(self.key, f"this is a table, not {table!r}")
        self._table = table
        self._known: list[str] = []

    def take(self, name: str, default: _D, read: Callable[[Any], _T]) -> _T | _D:
        """What stands under a key, or `default`.  Raises FormError with what `read` says against it."""
        self._known.append(name)
        if name not in self._table:
            return default
        try:
            return read(self._table[name])
        except FormError:
            raise
        except ValueError as why:
            raise self.wrong(name, str(why)) from None

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Its keys, each with the table that stands there, in order."""
        return ((str(name), Table((*self.key, str(name)), table)) for name, table in self._table.items())

    def wrong(self, name: str, told: str) -> FormError:
        """What to raise where what stands under a key cannot be used."""
        return FormError((*self.key, name), told)

    def close(self) -> None:
        """Refuse what was not taken: nobody knows it."""
        for name in self._table:
            if name not in self._known:
                raise self.wrong(str(name), f"there is no such key; {meant(str(name), self._known)}")


# ---- readers


def text(value: Any) -> str:
    """Some text, without blanks around it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"this is a text, not {value!r}")
    return value.strip()


def texts(value: Any) -> tuple[str, ...]:
    """Several texts, each another."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"this is a list of texts, not {value!r}")
    several = tuple(map(text, value))
    if len(set(several)) < len(several):
        raise ValueError("the same stands there twice")
    return several


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"this is true or false, not {value!r}")
    return value


def count(value: Any) -> int:
    """How many: at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST:
        raise ValueError(f"this is a whole number from 1 to {_MOST}, not {value!r}")
    return value


def decimal(value: Any) -> Decimal:
    """A number, as it is written."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not Decimal(str(value)).is_finite():
        raise ValueError(f"this is a number, not {value!r}")
    return Decimal(str(value))


def seconds(value: Any) -> float:
    """A time that a person may wait."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise ValueError(f"this is a number of seconds, at most {_LONGEST}, not {value!r}")
    return float(value)


def size(value: Any) -> int:
    """A number of bytes: 500, "20K", "10M", "1G"."""
    found = _SIZE.fullmatch(str(value)) if isinstance(value, (str, int)) else None
    if found is None:
        raise ValueError(f'this is a size, such as "10M", not {value!r}')
    return int(found[1]) * _SCALE[found[2]]


def one_of(words: Sequence[str]) -> Callable[[Any], str]:
    """One of these words."""

    def read(value: Any) -> str:
        if value in words:
            return str(value)
        raise ValueError(f"{value!r} is not one of them; {meant(str(value), words)}")

    return read
