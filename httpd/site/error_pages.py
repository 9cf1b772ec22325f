"""Error responses: HTML, JSON or plain text, as the client prefers.

For a refused head the page names the rule and its section, and shows the guilty bytes in their line with carets
below.  Whatever came from the client is bounded and escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..net.report import Reporter
from ..protocol.errors import Refusal, reason_phrase
from ..protocol.grammar import late
from ..protocol.message import WITHOUT_CONTENT, Response, html, json, replaced, text
from ..protocol.negotiation import best, varying
from .answers import NOSNIFF

__all__ = ["KINDS", "Excerpt", "error_response", "excerpt", "problem", "visible"]

logger = Reporter("httpd.site")

# What an error can be said in; of equals the first is the most welcome.
KINDS = ("text/html", "application/json", "application/problem+json", "text/plain")
# A scanner gets many errors of few kinds: that many are kept ready.
_READY = 128
# What the client made long is not worth keeping.
_LONG = 1_000
# How much of a line is shown beside the guilty bytes, and of these; a head may be 32 KiB of them.
_BESIDE = 48
_GUILTY = 96

# What to say where nobody said more.
_DETAILS = {
    403: "This is not open to you.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    412: "It has changed: the condition in the request does not hold.",
    422: "Some of what was sent cannot be taken as it is.",
    500: "The server failed to answer. It has made a note of it.",
    503: "The server is busy. Please try again in a moment.",
}

# A field that says who somebody is, its value folded over any number of lines; and what is hidden of that.
_CREDENTIALS = late(r"(?im)^((?:(?:proxy-)?authorization|cookie)[ \t]*:)(.*(?:\n[ \t].*)*)")
_PRINTED = late(r"[!-~\x80-\xff]")
_SECTION = late(r"RFC (\d+) §([A-Z0-9.]+)")
_ESCAPES = {0: r"\0", 9: r"\t", 10: r"\n", 13: r"\r"}
_VISIBLE = {
    byte: chr(byte) if 0x20 <= byte < 0x7F else _ESCAPES.get(byte, f"\\x{byte:02x}") for byte in range(256)
}  # fmt: skip

_ready: dict[tuple[object, ...], Response] = {}


class Excerpt(NamedTuple):
    """Guilty bytes in their line, one character a byte (latin-1): what stands before them, they, what stands after."""

    before: str
    guilty: str
    after: str

    @property
    def line(self) -> str:
        """The line, control bytes made visible."""
        return visible(self.before) + self._cut() + visible(self.after)

    @property
    def carets(self) -> str:
        """What to write below the line: carets under the guilty bytes, one where something is missing."""
        return " " * len(visible(self.before)) + "^" * max(1, len(self._cut()))

    def _cut(self) -> str:
        return visible(self.guilty[:_GUILTY]) + ("…" if len(self.guilty) > _GUILTY else "")


def visible(data: str) -> str:
    r"""Bytes, one character each, as printable ASCII: `\r`, `\n`, `\t`, `\0` and `\xff` for what is not."""
    return "".join([_VISIBLE[ord(letter) & 0xFF] for letter in data])


def excerpt(data: bytes, refusal: Refusal) -> Excerpt:
    """The bytes that a refusal means, within what surrounds them on their line; `data` is what was judged.

    Credentials are not shown: a page is looked at over shoulders, and sent to others.
    """
    text = _CREDENTIALS.sub(lambda found: found[1] + _PRINTED.sub("*", found[2]), data.decode("latin-1"))
    start = min(max(refusal.start, 0), len(text))
    end = min(start + refusal.length, len(text))
    line = max(text.rfind("\n", 0, start) + 1, start - _BESIDE)
    stop = text.find("\n", end)
    rest = text[end : min(len(text) if stop < 0 else stop + 1, end + _BESIDE)]
    guilty = text[start:end]
    return Excerpt(text[line:start], guilty, "" if guilty.endswith("\n") else rest)


def error_response(
    status: int,
    detail: str = "",
    *,
    accept: str = "",
    headers: Iterable[tuple[str, str]] = (),
    refusal: Refusal | None = None,
    guilty: Excerpt | str | None = None,
    fields: Mapping[str, str] | None = None,
) -> Response:
    """The response that says what went wrong: `detail` is one sentence, `headers` are field lines beside ours.

    `fields` has a sentence for each field of a form that is to blame.  For a refusal, its reason is the detail, and
    `guilty` its bytes: alone, one character each, or as an Excerpt.
    A template that fails does not matter: the page is then plain text.
    """
    headers = list(headers)
    if status == 405 and not any(name.lower() == "allow" for name, _ in headers):
        # It must be there (RFC 9110 §15.5.6), also where nobody said which methods.
        headers.append(("Allow", ""))
    detail = detail or (refusal.reason if refusal else _DETAILS.get(status, ""))
    if status < 200 or status in WITHOUT_CONTENT:
        return Response(b"", status, headers)
    if refusal is not None:
        alone = Excerpt("", guilty, "") if isinstance(guilty, str) else guilty
        return _made(status, detail, accept, headers, refusal, alone)
    if fields:
        return _made(status, detail or _DETAILS[422], accept, headers, fields=fields)
    key = status, detail, accept, *headers
    known = _ready.get(key)
    if known is None:
        known = _made(status, detail, accept, headers)
        _keep_ready(key, known)
    return known


def _keep_ready(key: tuple[object, ...], response: Response) -> None:
    if len(str(key)) > _LONG:
        return
    if len(_ready) >= _READY:
        _ready.clear()
    _ready[key] = response


def _made(
    status: int,
    detail: str,
    accept: str,
    headers: list[tuple[str, str]],
    refusal: Refusal | None = None,
    guilty: Excerpt | None = None,
    fields: Mapping[str, str] | None = None,
) -> Response:
    headers = varying(replaced([NOSNIFF], headers), "Accept")
    kind = best(accept, KINDS)
    if kind in KINDS[1:3]:
        return problem(status, detail, fields or {}, headers, _about(refusal, guilty))
    if kind == "text/html":
        try:
            return html(_as_html(status, detail, refusal, guilty, fields or {}), status, headers)
        except Exception:
            logger.exception("the error page cannot be rendered; it goes out as plain text")
    return text(_as_text(status, detail, refusal, guilty, fields or {}), status, headers)


def problem(
    status: int,
    detail: str,
    fields: Mapping[str, str],
    headers: Iterable[tuple[str, str]] = (),
    more: Mapping[str, object] = {},
) -> Response:
    """What went wrong, for a program (RFC 9457 §3.1): `fields` has a sentence for each that is to blame, `more` are
    further members.
    """
    about = {"title": reason_phrase(status), "status": status, "detail": detail, **more}
    if fields:
        about["errors"] = [_error(name, told) for name, told in fields.items()]
    made = json(about, status, headers)
    made.headers[0] = ("Content-Type", KINDS[2])
    return made


def _error(name: str, told: str) -> dict[str, str]:
    """An error, and where it is in content that is JSON (RFC 6901); "" is with no field."""
    pointer = "#/" + name.replace("~", "~0").replace("/", "~1") if name else "#"
    return {"detail": told, "pointer": pointer} | ({"field": name} if name else {})


def _about(refusal: Refusal | None, guilty: Excerpt | None) -> dict[str, object]:
    """What a program is told of a refusal besides."""
    if refusal is None:
        return {}
    about: dict[str, object] = {"rule": refusal.rule, "start": refusal.start, "length": refusal.length}
    if address := _section_address(refusal.rule):
        about["section"] = address
    if guilty is not None:
        about |= {"guilty": guilty.guilty[:_GUILTY], "line": guilty.line, "carets": guilty.carets}
    return about


def _as_html(
    status: int, detail: str, refusal: Refusal | None, guilty: Excerpt | None, fields: Mapping[str, str]
) -> str:
    from .templates import bundled

    return bundled().render(
        "error.html",
        status=status,
        reason=reason_phrase(status),
        detail=detail,
        refusal=refusal,
        section=_section_address(refusal.rule) if refusal else "",
        place=_place(refusal) if refusal else "",
        guilty=guilty,
        fields=fields,
    )


def _as_text(
    status: int, detail: str, refusal: Refusal | None, guilty: Excerpt | None, fields: Mapping[str, str]
) -> str:
    lines = [f"{status} {reason_phrase(status)}", detail]
    if refusal is not None:
        lines.append(f"{refusal.rule}, {_place(refusal)} of the request")
    if guilty is not None:
        lines += [guilty.line, guilty.carets]
    lines += [f"{name}: {told}" for name, told in fields.items()]
    return "".join(f"{line}\n" for line in lines if line)


def _place(refusal: Refusal) -> str:
    """Which bytes a refusal means, in words."""
    first, last = refusal.start, refusal.start + refusal.length - 1
    if last < first:
        return f"missing at byte {first}"
    return f"byte {first}" if last == first else f"bytes {first} to {last}"


def _section_address(rule: str) -> str:
    """Where the section that a rule names can be read, "" where it names none."""
    found = _SECTION.search(rule)
    if found is None:
        return ""
    number, section = found.groups()
    kind = "section" if section[0].isdigit() else "appendix"
    return f"https://www.rfc-editor.org/rfc/rfc{number}#{kind}-{section.rstrip('.')}"
