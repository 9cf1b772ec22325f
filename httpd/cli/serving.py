"""What commands of their own that serve, such as `httpd docs`, take of the server's options."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..config.option import Option, Wrong
from ..config.settings import Settings
from ..config.sources import read_sources

__all__ = ["settings_for"]


def settings_for(command: str, words: Sequence[str], taken: Collection[Option[Any]]) -> Settings:
    """What the command line alone says; no file and no variable counts.  Raises Wrong for other options, too."""
    settings = read_sources([*words, "--config="], {}).checked()
    known = {option.name for option in (*taken, Settings.config)}
    for option in settings.values:
        if option not in known:
            raise Wrong(f"{command} has no use for {settings.named(getattr(Settings, option))}", status=2)
    return settings
