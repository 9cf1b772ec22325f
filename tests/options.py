"""The README's table of options, made of the table in `httpd.config.settings`: `python -m tests.options` writes it."""

from __future__ import annotations

from collections.abc import Iterator

from httpd.config.environment import SECRETS
from httpd.config.option import Option, Switch
from httpd.config.settings import GROUPS, OPTIONS, Settings

from .markdown import cell, write

__all__ = ["page"]


def page() -> str:
    """A row for each option: its name, its key, its variable, its default and what it is."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| option | in `httpd.toml` | variable | default | |"
    yield "| --- | --- | --- | --- | --- |"
    for group in GROUPS:
        yield f"| **{group.title}** | | | | |"
        for option in OPTIONS.values():
            if option.group is group:
                yield _row(option)
    yield "| **secrets** | | | | |"
    for variable, meaning in SECRETS.items():
        yield f"| | | `{variable}` | | {meaning} |"


def _row(option: Option[object]) -> str:
    key = f"`{option.key}`" if option.key else ""
    default = f"`{option.default}`" if option.default else ""
    return f"| `{_flags(option)}` | {key} | `{option.variable}` | {default} | {cell(option.meaning)} |"


def _flags(option: Option[object]) -> str:
    if option.name == Settings.dir.name:
        return option.metavar
    if isinstance(option, Switch):
        return next(flag for flag, text in option.flags.items() if text != option.default)
    return f"{option.flag}[={option.metavar}]" if option.alone is not None else f"{option.flag} {option.metavar}"


def main() -> None:
    """Write the table into README.md, between its markers."""
    write("options", page())


if __name__ == "__main__":
    main()
