"""What helps whoever writes the site: pages that reload themselves, a browser that opens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ..config.option import Wrong
from ..config.settings import Settings
from ..packages import needs
from ..server.server import Server

__all__ = ["developing", "require_reloading"]


@contextlib.contextmanager
def developing(server: Server, settings: Settings) -> Iterator[None]:
    """What goes on beside a server that listens already."""
    with contextlib.ExitStack() as beside:
        if settings.reload:
            folders = [*settings.folders, *([os.curdir] if settings.program() else [])]
            beside.enter_context(require_reloading()(server, folders, [settings.access_log]))
        if settings.open:
            from ..browser import open_browser
            from ..net import wake

            # In the loop's first turn: then the server has said where it is, and answers.
            wake.call(open_browser, server.url, map=server.map)
        yield


def require_reloading() -> Any:
    """What reloads a server's pages.  Raises Wrong where its package is not installed."""
    try:
        from ..reload.watching import reloading
    except ImportError:
        raise Wrong(needs("--reload", "watchfiles")) from None
    return reloading
