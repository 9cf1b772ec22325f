"""Form content and query strings → fields.  Forms in parts, which may bring files, are in `multipart`.

`application/x-www-form-urlencoded` as the URL standard (WHATWG, §5.1) reads it, with one difference: what is broken is
refused, not repaired.  A bad percent escape or bytes that are not UTF-8 mean that somebody's data would arrive changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from .errors import HTTPError
from .form_check import FormCheck
from .grammar import OWS, late, percent_decode
from .media_types import parse_media_type

__all__ = [
    "FORM_TYPES", "MAX_FIELDS", "MAX_NAME", "MAX_VALUE", "MULTIPART", "Form", "Named", "field_fault", "is_multipart",
    "parse_form", "parse_query", "shown",
]  # fmt: skip

_T = TypeVar("_T")

# A form's fields are held as objects, each many times the size of its bytes: "&"s are the cheapest attack. 413.
MAX_FIELDS = 1_000
# The longest name of a field, in decoded bytes: programs keep names in dicts, logs and error pages. 413.
MAX_NAME = 1_024
# The longest value of a field, in decoded bytes: a long text fits. 413.
MAX_VALUE = 1_048_576
# How much of a name is shown to whoever has sent it, in characters.
_SHOWN = 60

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_MULTIPART = late(rf"(?i){OWS}{MULTIPART}{OWS}(?:;|\Z)")
# What Accept says where another type was sent (RFC 9110 §15.5.16).
FORM_TYPES = f"{URLENCODED}, {MULTIPART}"


class Named(Generic[_T]):
    """Values by name, in the order they were sent; one name may come several times."""

    __slots__ = ("_items", "_values")
    _what = "field"

    def __init__(self, items: Iterable[tuple[str, _T]] = ()) -> None:
        self._items = tuple(items)
        values: dict[str, list[_T]] = {}
        for name, value in self._items:
            values.setdefault(name, []).append(value)
        self._values = values

    def get_all(self, name: str) -> list[_T]:
        """Every value of that name, in order; empty where it was not sent."""
        return list(self._values.get(name, ()))

    def items(self) -> Iterator[tuple[str, _T]]:
        """Every (name, value), in the order they were sent."""
        return iter(self._items)

    def __getitem__(self, name: str) -> _T:
        """The first value of that name.  Raises HTTPError 400, which tells the name, where it was not sent."""
        if name not in self._values:
            raise HTTPError(400, f"The form lacks the {self._what} {name!r}.", fields={name: "This is missing."})
        return self._values[name][0]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        """The names, each once, in the order they first came."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many were sent, repeated names counted each time."""
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._items == other._items

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._items)!r})"


class Form(Named[str]):
    """A form's fields that are text."""

    __slots__ = ()

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field, or `default`."""
        values = self._values.get(name)
        return values[0] if values else default

    def check(self) -> FormCheck:
        """What reads the fields one by one, and collects what is wrong with them."""
        return FormCheck(self)


def parse_form(
    content_type: str,
    body: bytes,
    *,
    max_fields: int = MAX_FIELDS,
    max_name: int = MAX_NAME,
    max_value: int = MAX_VALUE,
) -> Form:
    """The fields of a form's content; `content_type` is the Content-Type field's value, "" where there was none.

    A form in parts is read by `multipart`.  Raises HTTPError: 415 for another content type or a charset other than
    UTF-8 (RFC 9110 §15.5.16), 400 for a bad percent escape or bytes that are not UTF-8, 413 for too many fields, too
    long a name or value.
    """
    media_type, parameters = parse_media_type(content_type)
    if media_type != URLENCODED:
        raise HTTPError(415, f"A form is sent as {URLENCODED} or {MULTIPART}.", [("Accept", FORM_TYPES)])
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise HTTPError(415, "A form is sent in UTF-8.", [("Accept", FORM_TYPES)])
    return Form(_urlencoded(body, max_fields, max_name, max_value))


def parse_query(
    query: str, *, max_fields: int = MAX_FIELDS, max_name: int = MAX_NAME, max_value: int = MAX_VALUE
) -> Form:
    """The fields of a query string, without its "?".  Raises HTTPError 400 and 413 as `parse_form` does."""
    return Form(_urlencoded(query.encode("utf-8", "surrogateescape"), max_fields, max_name, max_value))


def _urlencoded(data: bytes, max_fields: int, max_name: int, max_value: int) -> Iterator[tuple[str, str]]:
    # Counted before anything is split: the list itself would be the cost, of empty fields too.
    if data.count(b"&") >= max_fields:
        raise HTTPError(413, f"More than {max_fields} fields in the form.")
    for pair in data.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            field = _decoded(name, max_name, None)
            yield field, _decoded(value, max_value, field)


def _decoded(data: bytes, limit: int, field: str | None) -> str:
    """The value of a field; where that is not known yet, its name."""
    try:
        octets = percent_decode(data.replace(b"+", b" "))
        text = octets.decode()
    except UnicodeDecodeError:
        raise field_fault(400, field, "is not UTF-8") from None
    except ValueError:
        raise field_fault(400, field, "has a broken percent escape") from None
    if len(octets) > limit:
        raise field_fault(413, field, f"is longer than {limit} bytes")
    return text


def field_fault(status: int, field: str | None, fault: str) -> HTTPError:
    """The error for the value of a field, which it names for whoever shows it; None: for the name of one."""
    if field is None:
        return HTTPError(status, f"The name of a form field {fault}.")
    return HTTPError(status, f"The value of the field {shown(field)} {fault}.", fields={field: f"This {fault}."})


def shown(name: str) -> str:
    """As much of a field's name as is shown to whoever has sent it."""
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")


def is_multipart(content_type: str) -> bool:
    """Whether content says that it is a form in parts, if only its boundary were one."""
    return _MULTIPART.match(content_type) is not None
