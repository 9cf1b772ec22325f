"""What a handler asks of a form's fields, with a reason for each that is not as it should be.

    check = request.form.check()
    name = check.text("name", most=60)
    age = check.number("age", least=0, most=150)
    if name in taken:
        check.wrong("name", "That name is taken.")
    check.done()

What is wrong is collected, so that a person is told of all of it at once: `check.errors` is for a page that shows the
form again, `done` has the server answer 422 with them, as a page, JSON or text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from .errors import HTTPError
from .grammar import late

__all__ = ["FormCheck"]

_V = TypeVar("_V")

_LINE_END = late(r"\r\n?")
# Every control, and those that a text of several lines may not have either.
_CONTROL = late(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = late(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# 18 digits fit every integer that a database knows.
_NUMBER = late(r"[-+]?[0-9]{1,18}")

_MISSING = "Please fill this in."


class _Form(Protocol):
    def get_all(self, name: str) -> list[str]: ...
    def __contains__(self, name: object) -> bool: ...


class FormCheck:
    """Reads the fields of one form.  Each reader returns the value, or notes why there is none and returns `default`.

    A field with a `default` need not be filled in.  Blanks around a value count for nothing.
    """

    def __init__(self, form: _Form) -> None:
        self._form = form
        self.errors: dict[str, str] = {}

    def text(self, name: str, default: str | None = None, *, most: int = 1_000, lines: bool = False) -> str:
        """Text of at most so many letters; of several lines only if so said, each of which ends with LF."""

        def read(given: str) -> str:
            value = _LINE_END.sub("\n", given) if lines else given
            if (_CONTROL_BUT_LINES if lines else _CONTROL).search(value):
                raise ValueError("Please use letters only." if lines else "Please use letters only, in one line.")
            if len(value) > most:
                raise ValueError(f"Please use {most} letters at the most: this has {len(value)}.")
            return value

        return self._read(name, default, read, "")

    def number(
        self, name: str, default: int | None = None, *, least: int | None = None, most: int | None = None
    ) -> int:
        """A whole number."""

        def read(given: str) -> int:
            if not _NUMBER.fullmatch(given):
                raise ValueError("Please give a whole number.")
            number = int(given)
            if (least is not None and number < least) or (most is not None and number > most):
                raise ValueError(_bounds(least, most))
            return number

        return self._read(name, default, read, 0)

    def choice(self, name: str, options: Iterable[str], default: str | None = None) -> str:
        """One of these."""
        known = set(options)

        def read(given: str) -> str:
            if given not in known:
                raise ValueError("Please choose one of those that there are.")
            return given

        return self._read(name, default, read, "")

    def flag(self, name: str) -> bool:
        """Whether a box was ticked: such a field is sent only then."""
        return name in self._form

    def wrong(self, name: str, reason: str) -> None:
        """Note what else is wrong with a field; the first reason counts."""
        self.errors.setdefault(name, reason)

    def done(self) -> None:
        """Raise HTTPError 422 with what is wrong, if anything is."""
        if self.errors:
            raise HTTPError(422, fields=self.errors)

    def _read(self, name: str, default: _V | None, read: Callable[[str], _V], none: _V) -> _V:
        given = [value.strip() for value in self._form.get_all(name)]
        if not any(given):
            if default is None:
                self.wrong(name, _MISSING)
            return none if default is None else default
        if len(given) > 1:
            self.wrong(name, "This was sent more than once.")
            return none
        try:
            return read(given[0])
        except ValueError as why:
            self.wrong(name, str(why))
            return none


def _bounds(least: int | None, most: int | None) -> str:
    if least is None:
        return f"Please give a number of {most} or less."
    return f"Please give a number from {least} to {most}." if most is not None else f"Please give {least} or more."
