"""Which of several representations a client would rather have (RFC 9110 §12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from .grammar import OWS, late, token
from .media_types import parse_media_type

__all__ = ["MAX_MEMBERS", "best", "preferred_coding", "quality", "varying"]

# How many members of an Accept field are looked at: browsers send ten, an attack thousands.
MAX_MEMBERS = 50
# Up to here an Accept-Encoding is like a browser's, and what it asks for is remembered.
_LONGEST_REMEMBERED = 200

# Accept = [ ( media-range [ weight ] ) *( OWS "," OWS ( media-range [ weight ] ) ) ]         (RFC 9110 §12.5.1)
# A member, whatever it holds; commas within quotes belong to it.  A quote that is never closed reaches to the end, so
# that no byte is looked at twice.
_MEMBER = late(r'(?:[^",]++|"(?:[^"\\]++|\\(?:.|\Z))*(?:"|\Z))+', re.DOTALL)

# weight = OWS ";" OWS "q=" qvalue                                                            (RFC 9110 §12.4.2)
# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_qvalue = r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)"
_QVALUE = late(_qvalue)

# Accept-Encoding = [ ( codings [ weight ] ) *( OWS "," OWS ( codings [ weight ] ) ) ]        (RFC 9110 §12.5.3)
# codings = content-coding / "identity" / "*" ; content-coding = token
_CODING = late(f"{OWS}({token}){OWS}(?:;{OWS}[Qq]=({_qvalue}){OWS})?")
# What implementations before HTTP/1.1 called it (RFC 9110 §8.4.1.3).
_SYNONYMS = {"x-gzip": "gzip"}


class MediaRange(NamedTuple):
    """media-range = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters, and how welcome it is."""

    kind: str
    subtype: str
    parameters: frozenset[tuple[str, str]]
    weight: float

    def matches(self, kind: str, subtype: str, parameters: frozenset[tuple[str, str]]) -> bool:
        return self.kind in ("*", kind) and self.subtype in ("*", subtype) and self.parameters <= parameters

    @property
    def precedence(self) -> tuple[bool, bool, int, float]:
        """The more specific range decides (RFC 9110 §12.5.1)."""
        return self.subtype != "*", self.kind != "*", len(self.parameters), self.weight


def quality(accept: str, media_type: str) -> float:
    """How welcome a media type is, 0.0 (not at all) to 1.0, by an Accept field's value.

    The most specific range that matches decides.  Members that do not follow the grammar are passed over; a value
    without any good one, "" too, welcomes everything.
    """
    return _quality(_media_ranges(accept), media_type)


def best(accept: str, offers: Sequence[str]) -> str:
    """The most welcome of the offered media types; of equals the one that is offered first.

    Where none is acceptable it is the first: an answer in a form not asked for is better than none (RFC 9110 §15.5.7).
    """
    ranges = _media_ranges(accept)
    return max(offers, key=lambda offer: _quality(ranges, offer))


def _quality(ranges: Sequence[MediaRange], media_type: str) -> float:
    name, parameters = parse_media_type(media_type)
    kind, _, subtype = name.partition("/")
    told = _folded(parameters)
    matching = [one for one in ranges if one.matches(kind, subtype, told)]
    if matching:
        return max(matching, key=lambda one: one.precedence).weight
    return 0.0 if ranges else 1.0


def _media_ranges(accept: str) -> list[MediaRange]:
    members = islice(_MEMBER.finditer(accept), MAX_MEMBERS)
    return [found for member in members if (found := _media_range(member[0]))]


def _media_range(member: str) -> MediaRange | None:
    name, parameters = parse_media_type(member)
    kind, _, subtype = name.partition("/")
    weight = parameters.pop("q", "1")
    if not name or (kind == "*" and subtype != "*") or not _QVALUE.fullmatch(weight):
        return None
    return MediaRange(kind, subtype, _folded(parameters), float(weight))


def _folded(parameters: dict[str, str]) -> frozenset[tuple[str, str]]:
    """Parameters to compare by; whether case matters in a value is its type's to say, and for most it does not."""
    return frozenset((name, value.lower()) for name, value in parameters.items())


# ---- content codings


def preferred_coding(accept_encoding: str, offers: tuple[str, ...]) -> str:
    """The most welcome of the offered codings by an Accept-Encoding field's value, of equals the first; "": none.

    "" (identity) it is where the field is absent or empty, for neither asks for anything, where identity is more
    welcome than any offer, and also where nothing at all is acceptable: an answer in a form not asked for is better
    than none (RFC 9110 §12.5.3, §15.5.7).  Unknown codings, and members that do not follow the grammar, are passed
    over; of a coding named twice the first mention counts.
    """
    if len(accept_encoding) > _LONGEST_REMEMBERED:
        return _preferred_coding(accept_encoding, offers)
    return _remembered_coding(accept_encoding, offers)


def _preferred_coding(accept_encoding: str, offers: tuple[str, ...]) -> str:
    weights = _coding_weights(accept_encoding)
    others = weights.get("*", 0.0)
    coding = max(offers, key=lambda offer: weights.get(offer, others), default="")
    weight = weights.get(coding, others)
    return coding if weight and weight >= weights.get("identity", others) else ""


# Browsers send three or four different values between them.
_remembered_coding = lru_cache(maxsize=256)(_preferred_coding)


def _coding_weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for member in accept_encoding.split(",", MAX_MEMBERS)[:MAX_MEMBERS]:
        if found := _CODING.fullmatch(member):
            name = found[1].lower()
            weights.setdefault(_SYNONYMS.get(name, name), float(found[2] or 1))
    return weights


# ---- what the choice depended on


def varying(lines: Iterable[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    """Field lines that say that the response depends on the request's field `name`, in one Vary (RFC 9110 §12.5.5)."""
    lines = list(lines)
    told = [member.strip() for key, value in lines if key.lower() == "vary" for member in value.split(",")]
    if "*" not in told and name.lower() not in map(str.lower, told):
        told.append(name)
    return [*(line for line in lines if line[0].lower() != "vary"), ("Vary", ", ".join(filter(None, told)))]
