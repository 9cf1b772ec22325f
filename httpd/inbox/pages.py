"""What a form answers, as a page and as JSON.

Where something is wrong, the page is the form once more, with what was typed: nobody writes a letter twice.  As JSON it
is a problem (RFC 9457), with an error for each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ..protocol.message import Response, json
from ..site.answers import NOSNIFF
from ..site.error_pages import problem
from ..site.templates import bundled
from .declared import TOKEN, Declaration, Field

__all__ = ["Pages"]

# A token is for one person, once.
_LINES = (("Cache-Control", "no-store"), NOSNIFF)
# A page needs no script and nothing from elsewhere.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
# With no-referrer a browser would say that it comes from nowhere (see `origins`).
_PAGE_LINES = (*_LINES, ("Content-Security-Policy", _POLICY), ("Referrer-Policy", "same-origin"))
# Of so many choices at the most all are seen at once; of more, a list opens.
_MOST_SEEN = 6
_INPUTS = {"text": "text", "email": "email", "url": "url", "number": "number", "file": "file"}


class _Shown(NamedTuple):
    """A field as the template shows it: `id` is for its label, `look` what it is made of."""

    field: Field
    id: str
    look: str
    values: Sequence[str]
    error: str

    @property
    def described_by(self) -> str:
        """The ids of what is said about it."""
        told = [("help", self.field.help), ("error", self.error)]
        return " ".join(f"{self.id}-{part}" for part, text in told if text)


class Pages:
    """The pages of one form, rendered by the house's own templates."""

    def __init__(self, declaration: Declaration) -> None:
        self._form = declaration

    # ---- for people

    def form(
        self,
        token: str,
        values: Mapping[str, Sequence[str]] | None = None,
        errors: Mapping[str, str] | None = None,
        told: str = "",
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """The form, as it is asked for, or with the `values` that were sent, what is wrong with each, and what is with
        all of it."""
        values, errors = values or {}, errors or {}
        shown = [
            _Shown(field, f"field-{number}", _look(field), values.get(field.name, ()), errors.get(field.name, ""))
            for number, field in enumerate(self._form.fields, 1)
        ]
        return bundled().response(
            "form.html",
            status,
            [*_PAGE_LINES, *headers],
            form=self._form,
            fields=shown,
            token_name=TOKEN,
            token=token,
            told=told or errors.get("", ""),
            again=bool(values),
            wrong=[one for one in shown if one.error],
        )

    def thanks(self) -> Response:
        """What a person sees where the site has no page for it."""
        return bundled().response("form_sent.html", headers=_PAGE_LINES, form=self._form)

    # ---- for programs

    def described(self, token: str) -> Response:
        """What the form asks for."""
        fields = [_described(field) for field in self._form.fields]
        about = {"path": self._form.path, "title": self._form.title, "fields": fields, TOKEN: token}
        return json(about, headers=_LINES)

    def accepted(self, identity: str) -> Response:
        """It is kept, under this id."""
        return json({"id": identity}, 201, _LINES)

    def problem(
        self, status: int, told: str, errors: Mapping[str, str], headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        """It is not, and why."""
        return problem(status, told, errors, [*_LINES, *headers])


def _look(field: Field) -> str:
    """What shows a field."""
    if field.kind == "choice":
        few = len(field.choices) <= _MOST_SEEN
        return ("checkboxes" if field.multiple else "radios") if few or field.multiple else "list"
    return "lines" if field.lines > 1 else _INPUTS[field.kind]


def _described(field: Field) -> dict[str, Any]:
    about: dict[str, Any] = {"name": field.name, "type": field.kind, "label": field.label, "required": field.required}
    said = {"choices": field.choices, "multiple": field.multiple, "accept": field.accept, "help": field.help}
    bounds = {"min": field.least, "max": field.most, "size": field.size if field.kind == "file" else None}
    about |= {key: value for key, value in said.items() if value}
    return about | {key: _number(bound) for key, bound in bounds.items() if bound is not None}


def _number(value: int | Decimal) -> int | float:
    """A number as JSON has it: a whole one without a point."""
    return int(value) if value == int(value) else float(value)

