"""Settings as httpd.toml has them, with where each comes from: what is printed may be kept as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .option import Option, Several, Tables, Written
from .settings import OPTIONS, Settings

__all__ = ["quoted_key", "shown"]

# unquoted-key = 1*( ALPHA / DIGIT / %x2D / %x5F )                                                (TOML 1.0, ABNF)
_BARE = re.compile("[A-Za-z0-9_-]+")
# What nobody should read over a shoulder: keys that say so, passwords in URLs, and where a webhook leads on its host.
_SECRET = re.compile("secret|password|token", re.IGNORECASE)
_PASSWORD = re.compile(
    r"(://[^:/?#@\s]*:)[^/?#\s]+(?=@)|([?&][^=&\s]*(?:secret|password|token)[^=&\s]*=)[^&\s]+", re.IGNORECASE
)
_WEBHOOK, _ON_HOST = "webhook", re.compile(r"(://[^/?#\s]*[/?#])\S+")
_HIDDEN = "***"


def shown(settings: Settings) -> str:
    """Every setting, one a line; what has its default is a comment.  What is secret is asterisks."""
    tables: dict[str, list[str]] = {}
    for option in OPTIONS.values():
        table, _, name = option.key.rpartition(".")
        if name:
            tables.setdefault(table, []).extend(_lines(option, name, settings.written.get(option.name, ())))
    # Keys of no table stand above the first one.
    parts = [*tables.pop("", ())]
    for table, lines in tables.items():
        parts += ["", f"[{table}]", *lines]
    return "\n".join(parts) + "\n"


def quoted_key(key: str) -> str:
    """A key as it may be written."""
    return key if _BARE.fullmatch(key) else _quoted(key)


def _lines(option: Option[Any], name: str, written: Sequence[Written]) -> Iterator[str]:
    if not written:
        yield f"# {name} = {'[]' if isinstance(option, Several) else _value(option, name, option.default)}"
    elif isinstance(option, Tables):
        for key, (table, one) in _newest(option, written).items():
            yield _from(f"{name}.{quoted_key(key)} = {_inline(table)}", one)
    elif isinstance(option, Several):
        yield f"{name} = ["
        yield from (_from(f"    {_value(option, name, one.text)},", one) for one in written)
        yield "]"
    else:
        yield _from(f"{name} = {_value(option, name, written[-1].text)}", written[-1])


def _newest(option: Tables, written: Sequence[Written]) -> dict[str, tuple[Mapping[str, Any], Written]]:
    """Of each name its table; that it is only named takes none away."""
    newest: dict[str, tuple[Mapping[str, Any], Written]] = {}
    for one in written:
        name, table = option.read(one.text)
        if table or name not in newest:
            newest[name] = table, one
    return newest


def _from(line: str, written: Written) -> str:
    return f"{line:<40}  # {written.origin.place or written.origin.name}"


def _value(option: Option[Any], name: str, text: str) -> str:
    """A setting's text as a value."""
    if bool in option.types:
        return "true" if option.read(text) else "false"
    if text == option.alone:
        return "true"
    if int in option.types and text.isdecimal():
        return str(int(text))
    return _quoted(_hushed(name, text))


def _inline(value: Any, key: str = "") -> str:
    """Any value, on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{quoted_key(name)} = {_inline(content, name)}" for name, content in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_inline(one, key) for one in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(_HIDDEN if _SECRET.search(key) else _hushed(key, value))
    return str(value)


def _hushed(key: str, text: str) -> str:
    """A text without what is secret in it."""
    if key == _WEBHOOK:
        text = _ON_HOST.sub(r"\1" + _HIDDEN, text)
    return _PASSWORD.sub(r"\1\2" + _HIDDEN, text)


def _quoted(text: str) -> str:
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
