"""What was sent against what is asked for: the values to keep, and a sentence for each field that is wrong.

Strict, for whoever reads the submissions counts on it: a text of one line has one, an address is one, a file is what it
says.  Blanks around a value are nobody's meaning, and a line ends with a line feed, whatever the client ends it with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from ..protocol.files import File, Files
from ..protocol.forms import Form
from ..protocol.grammar import late
from .declared import TOKEN, Declaration, Field
from .signatures import is_what_it_says

__all__ = ["Checked", "check"]

# Where a page has a hidden field of this name, browsers fill it in (HTML, "Constructing the entry list").
_CHARSET = "_charset_"

# Every control, and those that a text of several lines may have (Unicode, "Cc").
_CONTROL = late(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = late(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END = late(r"\r\n?")

# A dot-atom and a domain of two labels or more (RFC 5321 §4.1.2).  Quoted local parts and bare addresses are nobody's.
# Letters of other scripts may be in the domain, as browsers let people type it (RFC 5890 §2.3.2.1).
_atext = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_letter = r"A-Za-z0-9\u00a1-\u1fff\u2c00-\u2fef\u3005-\ud7ff\uf900-\ufdcf\ufdf0-\ufefe"
_label = rf"(?!-)[{_letter}-]{{1,63}}(?<!-)"
_EMAIL = late(rf"({_atext}+(?:\.{_atext}+)*)@({_label}(?:\.{_label})+)")
_LOCAL_PART = 64

# An http or https URL with a host, and nobody's password in it (RFC 3986 §3.2.1); letters of any script.
_host = rf"(?:{_label}(?:\.{_label})*|\[[0-9A-Fa-f:.]+\])"
_URL = late(rf"""[Hh][Tt][Tt][Pp][Ss]?://{_host}(?::[0-9]{{1,5}})?(?:[/?#][^\s<>"\\^`{{|}}]*)?""")

# As browsers send it (HTML, "valid floating-point number"), with an end to its digits.
_NUMBER = late(r"-?(?:[0-9]{1,30}(?:\.[0-9]{1,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?")


class Checked(NamedTuple):
    """What is to be kept, in the order of the declaration, and what is wrong: a sentence by the name of its field.

    What is wrong with no field of the form stands under "".
    """

    fields: list[tuple[str, str]]
    files: list[tuple[str, File]]
    errors: dict[str, str]


def check(declaration: Declaration, form: Form, files: Files) -> Checked:
    """Check a submission.  What was sent besides is wrong, too: nobody would ever read it."""
    checked = Checked([], [], {})
    for field in declaration.fields:
        try:
            if field.kind == "file":
                checked.files.extend((field.name, file) for file in _checked_files(field, form, files))
            else:
                checked.fields.extend((field.name, value) for value in _checked_values(field, form, files))
        except ValueError as why:
            checked.errors[field.name] = field.message or str(why)
    known = {field.name for field in declaration.fields} | {declaration.honeypot, TOKEN, _CHARSET}
    if strangers := [name for name in (*form, *files) if name not in known]:
        checked.errors[""] = f"This form has no field {strangers[0][:60]!r}."
    return checked


def _checked_values(field: Field, form: Form, files: Files) -> list[str]:
    if field.name in files:
        raise ValueError("This is no place for a file.")
    values = [_cleaned(value) for value in form.get_all(field.name)]
    given = [value for value in values if value]
    if field.required and not given:
        raise ValueError("Please choose." if field.kind == "choice" else "Please fill this in.")
    if len(values) > 1 and not field.multiple:
        raise ValueError("This was sent more than once.")
    if field.multiple:
        _check_count(field, len(given), "choice")
    checker = _CHECKERS[field.kind]
    return [checker(field, value) if value else value for value in (given if field.multiple else values)]


def _cleaned(value: str) -> str:
    return _LINE_END.sub("\n", value).strip()


# ---- by kind: each returns the value to keep, or raises ValueError with a sentence


def _text(field: Field, value: str) -> str:
    if field.lines == 1 and "\n" in value:
        raise ValueError("One line only, please.")
    control = _CONTROL if field.lines == 1 else _CONTROL_BUT_LINES
    if found := control.search(value):
        raise ValueError(f"There is a character in it that cannot be seen (U+{ord(found[0]):04X}).")
    if field.most is not None and len(value) > field.most:
        raise ValueError(f"At most {field.most} characters, please; these are {len(value)}.")
    if field.least is not None and len(value) < field.least:
        raise ValueError(f"At least {field.least} characters, please; these are {len(value)}.")
    return value


def _email(field: Field, value: str) -> str:
    _text(field, value)
    found = _EMAIL.fullmatch(value)
    if found is None or len(found[1]) > _LOCAL_PART:
        raise ValueError("This is not an e-mail address, such as ann@example.org.")
    return value


def _url(field: Field, value: str) -> str:
    _text(field, value)
    if not _URL.fullmatch(value):
        raise ValueError("This is not a web address, such as https://example.org/.")
    return value


def _number(field: Field, value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError("This is not a number, such as 12 or 3.5.")
    number = Decimal(value)
    if field.most is not None and number > field.most:
        raise ValueError(f"At most {field.most}, please.")
    if field.least is not None and number < field.least:
        raise ValueError(f"At least {field.least}, please.")
    return value


def _choice(field: Field, value: str) -> str:
    if value not in field.choices:
        raise ValueError("This is not one of the choices.")
    return value


_CHECKERS: dict[str, Callable[[Field, str], str]] = {
    "text": _text, "email": _email, "url": _url, "number": _number, "choice": _choice,
}  # fmt: skip


# ---- files


def _checked_files(field: Field, form: Form, files: Files) -> list[File]:
    if any(form.get_all(field.name)):
        raise ValueError("This takes a file, and not a text.")
    given = files.get_all(field.name)
    if field.required and not given:
        raise ValueError("Please choose a file.")
    _check_count(field, len(given), "file")
    for file in given:
        _check_file(field, file)
    return given


def _check_count(field: Field, number: int, what: str) -> None:
    if field.most is not None and number > field.most:
        raise ValueError(f"At most {field.most} {what}{'s' if field.most > 1 else ''}, please.")
    if number and field.least is not None and number < field.least:
        raise ValueError(f"At least {field.least} {what}s, please.")


def _check_file(field: Field, file: File) -> None:
    if file.size > field.size:
        most, size = _as_said(field.size), _as_said(file.size)
        raise ValueError(f"At most {most}, please; {_called(file)} has {size if size != most else 'a little more'}.")
    if not field.accept:
        return
    if not _accepted(field.accept, file.content_type):
        raise ValueError(f"{_called(file)} is {file.content_type}; please choose {' or '.join(field.accept)}.")
    if not is_what_it_says(file):
        raise ValueError(f"{_called(file)} says that it is {file.content_type}, and is not.")


def _called(file: File) -> str:
    return file.filename or "The file"


def _accepted(ranges: Iterable[str], media_type: str) -> bool:
    return any(media_type == one or (one.endswith("/*") and media_type.startswith(one[:-1])) for one in ranges)


def _as_said(size: int) -> str:
    """A size as people say it, in the units in which it is declared."""
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= scale:
            return re.sub(r"\.0$", "", f"{size / scale:.1f}") + f" {unit}"
    return f"{size} bytes"
