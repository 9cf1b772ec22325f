"""What one setting is, however it is written: an option, a key of httpd.toml, an environment variable.

An option stands in the table (`config.settings`) as an attribute of a class, and is a descriptor: of the class it gives
itself, of a value of the class what was set, in its own type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Group", "Option", "Origin", "Several", "Switch", "Tables", "Written", "Wrong"]

T = TypeVar("T")

_ON = ("1", "on", "true", "yes")
_OFF = ("0", "off", "false", "no")


class Wrong(Exception):
    """What a person gave cannot be used; the text is a sentence that says what to do.

    `at` is where that is written, if it is known.  The exit status is 1, or 2 where it was not even understood.
    """

    def __init__(self, told: str, at: Origin | None = None, status: int = 1) -> None:
        super().__init__(" ".join(told.split()))
        self.at = at
        self.status = status

    def __str__(self) -> str:
        place = self.at.place if self.at else ""
        return f"{place}: {self.args[0]}" if place else str(self.args[0])


class Group(NamedTuple):
    """Options that are explained together: `httpd --help NAME`."""

    name: str
    title: str


class Origin(NamedTuple):
    """Where a setting is written: its name there, and for a file `FILE:LINE:COLUMN` and the folder that it is in."""

    name: str
    place: str = ""
    folder: str = ""


class Written(NamedTuple):
    """A setting as it is written: one text; of an option that takes several one of them, of `Tables` a table."""

    option: Option[Any]
    text: Any
    origin: Origin


class Option(Generic[T]):
    """One setting of the type T.

    `read` makes a value of a text, or raises ValueError with a sentence; `default` is such a text.  `metavar` stands
    for the text in help, whose sentence is `meaning`.  In httpd.toml `key` is its key, unless that is the name; a dot
    in it parts table and key, and "" keeps it out.  `types` are what a value may be there.  `path` is what stands
    before a path, and "" where nothing does: a relative one there is meant from the file's folder, unless it is one of
    the words "-" and "off".  `alone` is the text that the option stands for when it has none, and `follows(word)` says
    whether the word after it is its text nevertheless.
    """

    name = ""
    flag = ""
    variable = ""
    key = ""
    kept = False

    def __init__(
        self,
        read: Callable[[str], T],
        default: str,
        metavar: str,
        group: Group,
        meaning: str,
        *,
        key: str | None = None,
        types: tuple[type, ...] = (str,),
        path: str | None = None,
        alone: str | None = None,
        follows: Callable[[str], bool] = lambda word: False,
    ) -> None:
        self.reader: Callable[[str], Any] = read
        self.default = default
        self.metavar = metavar
        self.group = group
        self.meaning = meaning
        self._key = key
        self.types = types
        self.path = path
        self.alone = alone
        self.follows = follows

    def __set_name__(self, owner: type, name: str) -> None:
        written = name.replace("_", "-")
        self.name = name
        self.flag = f"--{written}"
        self.variable = f"HTTPD_{name.upper()}"
        self.key = written if self._key is None else self._key

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...
    @overload
    def __get__(self, settings: object, owner: type) -> T: ...
    def __get__(self, settings: Any, owner: type) -> Any:
        if settings is None:
            return self
        return settings.values[self.name] if self.name in settings.values else self.unset()

    def unset(self) -> T:
        """The value where nobody has set one."""
        return self.reader(self.default)  # type: ignore[no-any-return]

    def read(self, text: Any) -> Any:
        """What a text says.  Raises ValueError."""
        return self.reader(text)

    def value(self, values: Sequence[Any]) -> Any:
        """The setting, of what was read of one source: at least one."""
        return values[-1]

    @property
    def flags(self) -> dict[str, str | None]:
        """Each option of the command line, and the text that it stands for; None: the text that comes with it."""
        return {self.flag: None}


class Switch(Option[bool]):
    """On or off: `--NAME` and `--no-NAME`."""

    def __init__(self, default: bool, group: Group, meaning: str, *, key: str | None = None) -> None:
        super().__init__(_on, "on" if default else "off", "", group, meaning, key=key, types=(bool,))

    @property
    def flags(self) -> dict[str, str | None]:
        return {self.flag: "on", f"--no-{self.flag[2:]}": "off"}


class Several(Option[tuple[T, ...]]):
    """Any number of values: the option may be repeated, a variable has them as words, quoted as in a shell.

    In httpd.toml they are a text or an array of texts; with `joint`, a table: its key, the joint and the value are the
    text.  What is `kept` adds to what a weaker source says, and does not take its place.
    """

    def __init__(
        self,
        read: Callable[[str], T],
        metavar: str,
        group: Group,
        meaning: str,
        *,
        key: str | None = None,
        types: tuple[type, ...] = (str,),
        path: str | None = None,
        joint: str = "",
        kept: bool = False,
    ) -> None:
        super().__init__(read, "", metavar, group, meaning, key=key, types=types, path=path)  # type: ignore[arg-type]
        self.joint = joint
        self.kept = kept

    def unset(self) -> tuple[T, ...]:
        return ()

    def value(self, values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values)


class Tables(Several[tuple[str, Mapping[str, Any]]]):
    """Things with a name, each with a table of its own in httpd.toml, whose keys others read: (name, table).

    The option and the variable give a name, whose table is empty.
    """

    def __init__(self, metavar: str, group: Group, meaning: str, *, key: str) -> None:
        super().__init__(_without_table, metavar, group, meaning, key=key, kept=True)

    def read(self, text: Any) -> Any:
        return _without_table(text) if isinstance(text, str) else text


def _without_table(name: str) -> tuple[str, Mapping[str, Any]]:
    return name, {}


def _on(text: str) -> bool:
    if text.lower() in _ON + _OFF:
        return text.lower() in _ON
    raise ValueError(f"{text!r} is neither on nor off")
