"""What shows the server's connections: recordings, the terminal, the console."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.kinds import HERE
from ..config.option import Wrong
from ..config.settings import Settings
from ..config.sources import is_within
from ..server.server import Server

if TYPE_CHECKING:
    from ..trace.tracing import Tracing

__all__ = ["record", "require_trace_folder", "show_console"]


def record(server: Server, settings: Settings) -> Tracing | None:
    """Have the connections recorded, into a folder or onto the terminal, if that is asked for.  Raises Wrong."""
    if not settings.trace:
        return None
    from ..trace import live

    if settings.trace == HERE:
        return live.onto_terminal(server)
    require_trace_folder(settings)
    try:
        return live.into_folder(server, settings.trace)
    except OSError as why:
        at = settings.origin(Settings.trace)
        raise Wrong(f"cannot keep traces in {settings.trace}: {why.strerror or why}; name another folder", at) from None


def require_trace_folder(settings: Settings) -> None:
    """Refuse to record into a folder that is served.  Raises Wrong."""
    if settings.trace in ("", HERE):
        return
    for folder in settings.folders:
        if is_within(os.path.join(settings.trace, "trace"), folder):
            told = f"{settings.trace} is in {folder}, which is served: anyone could read it; name another folder"
            raise Wrong(told, settings.origin(Settings.trace))


def show_console(server: Server, tracing: Tracing | None, settings: Settings, tell: Callable[[str], None]) -> int:
    """Open the console of a server that listens, and tell where it is, once it is said where the server is.

    What comes back is its port, 0 where none is asked for.  Raises Wrong.
    """
    if settings.console is None:
        return 0
    from ..trace.console import open_console
    from ..trace.tracing import Tracing

    folder = "" if settings.trace == HERE else settings.trace
    try:
        port = open_console(server, tracing or Tracing(), settings.console, folder)
    except OSError as why:
        told = f"no console at port {settings.console}: {why.strerror or why}; name another with --console=PORT"
        raise Wrong(told) from None
    server.timers.call_soon(lambda: tell(f"the console is at http://127.0.0.1:{port}/"))
    return port
