"""What a form asks for, as a person declares it: a table of httpd.toml, and its fields in their order.

    [forms."/contact"]
    thanks = "/thanks.html"

    [forms."/contact".fields]
    name = { required = true, max = 100 }
    email = { type = "email", required = true }
    message = { lines = 8, required = true }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from ..protocol.grammar import late
from ..site.cors import allowed_origin
from . import keys
from .keys import FormError, Table
from .moments import SECONDS
from .targets import KINDS as KINDS_OF_TARGETS
from .targets import Target, read_targets

__all__ = ["TOKEN", "Declaration", "Field", "FormError", "Rate", "declare"]

KINDS = ("text", "email", "url", "number", "choice", "file")
# What a form asks for that only has a path.
_FIELDS: Mapping[str, Any] = {
    "name": {"required": True, "max": 200},
    "email": {"type": "email", "required": True},
    "message": {"required": True, "lines": 8},
}
# What a text may have, in characters, where nothing is said; an address has 254 at most (RFC 5321 §4.5.3.1.3).
_LONGEST = {"text": 10_000, "email": 254, "url": 2_000}
# Files, in bytes each, and how many where there may be several.
_LARGEST = 10 << 20
_MOST_FILES = 10
# All text of a submission, in bytes.
_MOST_TEXT = 1 << 20
# Ten in ten minutes: a person corrects, a family writes; a program is stopped.
_RATE = "10/10m"
# Fields of ours begin so, and none of a form may.
OURS = "_"
# The hidden field of our page.
TOKEN = OURS + "token"

_NAME = late(r"""[^\x00-\x20\x7f\[\]"'<>&=#\s]{1,100}""")
_MEDIA_RANGE = late(r"[a-z]+/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)")
_RATES = late(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,3})?([smhd])")
# A path of one's own origin as it stands in a URL: a second "/" or a backslash would name another host.
_OWN_PATH = late(r"/(?![/\\])[!-\[\]-~]*")
_FORM_PATH = late(r"(?:/[A-Za-z0-9._~-]+)+")

# What browsers know to fill in (HTML, "Autofill").
_AUTOFILL = {
    "name": "name", "email": "email", "mail": "email", "tel": "tel", "phone": "tel", "url": "url", "website": "url",
    "organization": "organization", "company": "organization", "country": "country-name", "city": "address-level2",
    "street": "street-address", "address": "street-address", "zip": "postal-code", "postcode": "postal-code",
    "first_name": "given-name", "last_name": "family-name",
}  # fmt: skip


class Rate(NamedTuple):
    """So many submissions in so many seconds, from one client."""

    most: int
    seconds: int


class Field(NamedTuple):
    """One field of a form.

    `least` and `most` bound the length of text in characters, the value of a number, or how many choices or files there
    may be; None: nothing does.  `lines` is how many lines of text the page shows; where it shows several, several may
    be sent.  `accept` are the media types of a file (any, if there is none), `size` what each may have, in bytes.
    `message` is said instead of what we would say of a wrong value.
    """

    name: str
    kind: str
    label: str
    required: bool = False
    least: Decimal | None = None
    most: Decimal | None = None
    choices: tuple[str, ...] = ()
    multiple: bool = False
    lines: int = 1
    accept: tuple[str, ...] = ()
    size: int = _LARGEST
    message: str = ""
    help: str = ""
    autocomplete: str = ""


class Declaration(NamedTuple):
    """A form at a path.

    `page` is the page of the site that has the form, "" where ours shows it; `thanks` is where people are sent
    afterwards, "" for a page of ours.  `rate` bounds what one client may send, None: nothing does.  `fill_time` is how
    long a person needs at the least, in seconds.  `honeypot` is the field that nobody sees, "" for none.  `origins` are
    those of other sites that have the form, too.  `signed` asks for a token that only we can have made.  `targets` are
    where a submission is sent on to, by kind; of a kind that the form does not speak of there is nothing.
    """

    path: str
    fields: tuple[Field, ...]
    title: str
    intro: str
    button: str
    page: str
    thanks: str
    rate: Rate | None
    fill_time: float
    honeypot: str
    origins: frozenset[str]
    signed: bool
    targets: Mapping[str, tuple[Target, ...]]

    @property
    def files(self) -> tuple[Field, ...]:
        """The fields that take files."""
        return tuple(field for field in self.fields if field.kind == "file")

    @property
    def size(self) -> int:
        """The most that a submission may have, in bytes."""
        return _MOST_TEXT + sum(field.size * int(field.most or 1) for field in self.files)


def declare(path: str, said: Mapping[str, Any]) -> Declaration:
    """The form at a path, of which a table says so much; where it says nothing, that asks for name, email and message.

    Raises FormError.
    """
    table = Table(("forms", path), said)
    if not _FORM_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise FormError(table.key, 'the path of a form begins with "/" and is plain, such as "/contact"')
    key = (*table.key, "fields")
    declaration = Declaration(
        path=path,
        fields=_fields(Table(key, table.take("fields", _FIELDS, lambda value: value))),
        title=table.take("title", _as_label(path.rpartition("/")[2]), keys.text),
        intro=table.take("intro", "", keys.text),
        button=table.take("button", "Send", keys.text),
        page=table.take("page", "", _own_path),
        thanks=table.take("thanks", "", _own_path),
        rate=table.take("rate", _rate(_RATE), _rate),
        fill_time=table.take("fill-time", 0.0, keys.seconds),
        honeypot=table.take("honeypot", OURS + "website", _honeypot),
        origins=table.take("origins", frozenset(), _origins),
        signed=table.take("token", False, keys.flag),
        targets=_targets(table),
    )
    table.close()
    _agree(declaration, table)
    return declaration


def _targets(table: Table) -> dict[str, tuple[Target, ...]]:
    taken = {kind: table.take(kind, None, partial(read_targets, kind)) for kind in KINDS_OF_TARGETS}
    return {kind: targets for kind, targets in taken.items() if targets is not None}


def _agree(declaration: Declaration, table: Table) -> None:
    """Refuse what would do nothing, or harm, beside the rest."""
    if declaration.honeypot in {field.name for field in declaration.fields}:
        raise table.wrong("honeypot", f"{declaration.honeypot} is a field of the form; name another")
    for name, value in (("fill-time", declaration.fill_time), ("token", declaration.signed)):
        if declaration.page and value:
            told = f"nothing of ours is in {declaration.page}, which is a page of yours; leave out page or {name}"
            raise table.wrong(name, told)


# ---- fields


def _fields(table: Table) -> tuple[Field, ...]:
    fields = tuple(_field(name, each) for name, each in table.tables())
    if not fields:
        raise FormError(table.key, "a form has at least one field")
    return fields


def _field(name: str, table: Table) -> Field:
    if not _NAME.fullmatch(name) or name.startswith(OURS):
        told = f"the name of a field has no blanks, none of []\"'<>&=#, up to 100 characters, and no {OURS} before it"
        raise FormError(table.key, told)
    kind = table.take("type", "text", keys.one_of(KINDS))
    multiple = table.take("multiple", False, keys.flag) if kind in ("choice", "file") else False
    least, most = _bounds(kind, multiple, table)
    field = Field(
        name=name,
        kind=kind,
        label=table.take("label", _as_label(name), keys.text),
        required=table.take("required", False, keys.flag),
        least=least,
        most=most,
        choices=table.take("choices", (), keys.texts) if kind == "choice" else (),
        multiple=multiple,
        lines=table.take("lines", 1, keys.count) if kind == "text" else 1,
        accept=table.take("accept", (), _accept) if kind == "file" else (),
        size=table.take("size", _LARGEST, keys.size) if kind == "file" else _LARGEST,
        message=table.take("message", "", keys.text),
        help=table.take("help", "", keys.text),
        autocomplete=table.take("autocomplete", _autocomplete(name, kind), keys.text),
    )
    table.close()
    if kind == "choice" and not field.choices:
        raise table.wrong("choices", 'a choice needs what to choose from, such as ["red", "green"]')
    return field


def _bounds(kind: str, multiple: bool, table: Table) -> tuple[Decimal | None, Decimal | None]:
    if kind in ("choice", "file") and not multiple:
        return None, Decimal(1)
    usual = _MOST_FILES if kind == "file" else _LONGEST.get(kind)
    read = keys.decimal if kind == "number" else lambda value: Decimal(keys.count(value))
    least = table.take("min", None, read)
    most = table.take("max", None if usual is None else Decimal(usual), read)
    if least is not None and most is not None and least > most:
        raise table.wrong("min", f"{least} is more than {most}, which is the most")
    return least, most


def _as_label(name: str) -> str:
    words = re.sub(r"[_.-]+", " ", name).strip() or name
    return words[0].upper() + words[1:]


def _autocomplete(name: str, kind: str) -> str:
    return _AUTOFILL.get(name.lower().replace("-", "_"), kind if kind in ("email", "url") else "")


# ---- readers of values, beside those of `keys`


def _accept(value: Any) -> tuple[str, ...]:
    ranges = tuple(text.lower() for text in keys.texts(value))
    for text in ranges:
        if not _MEDIA_RANGE.fullmatch(text):
            raise ValueError(f"{text!r} is not a media type, such as application/pdf or image/*")
    return ranges


def _rate(value: Any) -> Rate | None:
    if value is False:
        return None
    found = _RATES.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'this is a rate, such as "10/10m" or "100/d", or false for none; not {value!r}')
    return Rate(int(found[1]), int(found[2] or 1) * SECONDS[found[3]])


def _honeypot(value: Any) -> str:
    if value is False:
        return ""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value == TOKEN:
        raise ValueError(f"this is a name that no field has, or false for none; not {value!r}")
    return value


def _origins(value: Any) -> frozenset[str]:
    origins = frozenset(map(allowed_origin, keys.texts(value)))
    if "*" in origins:
        raise ValueError("with * every site would be one's own; name them one by one")
    return origins


def _own_path(value: Any) -> str:
    if not isinstance(value, str) or not _OWN_PATH.fullmatch(value):
        raise ValueError(f'this is a path of the same site, such as "/thanks.html", not {value!r}')
    return value
