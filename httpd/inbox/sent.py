"""What a client has sent to a form, whichever way, as one value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..protocol.errors import HTTPError
from ..protocol.files import Files
from ..protocol.forms import MULTIPART, URLENCODED, Form
from ..protocol.grammar import late
from ..protocol.json_content import JSON
from ..protocol.media_types import parse_media_type
from ..protocol.message import Request
from ..protocol.negotiation import best

__all__ = ["TYPES", "Sent", "read", "wants_json"]

# What a form takes.
TYPES = (URLENCODED, MULTIPART, JSON)
_HTML = "text/html"
_PROBLEM = "application/problem+json"

# A key that the client makes up: it may be quoted (draft-ietf-httpapi-idempotency-key-header §2.1).
_KEY = late(r'"?([!#-\[\]-~]{1,200})"?')


class Sent(NamedTuple):
    """The fields and files, whether the answer is for a program, and the key by which it knows what it sends again."""

    form: Form
    files: Files
    as_json: bool
    key: str

    @property
    def values(self) -> dict[str, list[str]]:
        """What was typed, by name; of files their names, which is all that a page can show of them."""
        values = {name: self.form.get_all(name) for name in self.form}
        return values | {name: [file.filename for file in self.files.get_all(name)] for name in self.files}


def read(request: Request) -> Sent:
    """What a request brings.  Raises HTTPError 400, 413 or 415 for content that is no form."""
    is_json = parse_media_type(request.headers.get("content-type"))[0] == JSON
    form, files = (_from_json(request.json), Files()) if is_json else (request.form, request.files)
    return Sent(form, files, wants_json(request, is_json), _key(request))


def wants_json(request: Request, sends_json: bool = False) -> bool:
    """Whether the client would rather have JSON than a page; who does not say gets what it sends."""
    offers = (JSON, _PROBLEM, _HTML) if sends_json else (_HTML, JSON, _PROBLEM)
    return best(request.headers.get("accept"), offers) != _HTML


def _key(request: Request) -> str:
    said = request.headers.get("idempotency-key")
    if not said:
        return ""
    found = _KEY.fullmatch(said)
    if found is None:
        raise HTTPError(400, "The Idempotency-Key is no string of 1 to 200 printable characters.")
    return found[1]


def _from_json(value: Any) -> Form:
    if not isinstance(value, dict):
        raise HTTPError(400, "The JSON is no object with a member for each field of the form.")
    return Form((name, text) for name, member in value.items() for text in _texts(name, member))


def _texts(name: str, value: Any) -> Iterator[str]:
    """A member's text or number, or several; null is a field that was not sent."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one
        elif isinstance(one, (int, float)) and not isinstance(one, bool):
            yield str(one)
        elif one is not None:
            raise HTTPError(400, f"The member {name[:60]!r} of the JSON is no text, number, or list of them.")
