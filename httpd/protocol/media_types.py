"""Media types, as Content-Type and Accept name them (RFC 9110 §8.3.1)."""

from __future__ import annotations

from .grammar import OWS, PARAMETER, late, token

__all__ = ["parse_media_type"]

# media-type = type "/" subtype parameters ; type = token ; subtype = token                   (RFC 9110 §8.3.1)
_MEDIA_TYPE = late(f"{OWS}({token}/{token})")
_QUOTED_PAIR = late(r"\\(.)")


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case and its parameters, names in lower case.

    A repeated parameter keeps its first value.  A value that does not follow the grammar gives ("", {}).
    """
    media_type = _MEDIA_TYPE.match(value)
    if not media_type:
        return "", {}
    value = value.rstrip(" \t")
    parameters: dict[str, str] = {}
    position = media_type.end()
    while position < len(value):
        parameter = PARAMETER.match(value, position)
        if parameter is None:
            return "", {}
        if parameter[1]:
            parameters.setdefault(parameter[1].lower(), _unquoted(parameter[2]))
        position = parameter.end()
    return media_type[1].lower(), parameters


def _unquoted(value: str) -> str:
    """A parameter's value without its quotes and backslashes (RFC 9110 §5.6.4)."""
    return _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value
