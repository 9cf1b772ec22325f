"""What tells how a server is: its logs, its health, what its requests are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.option import Wrong
from ..config.settings import Settings
from ..packages import needs
from ..server.log import AccessLog
from ..server.server import Server

if TYPE_CHECKING:
    from ..seeing.places import Desk, Page

__all__ = ["desk_of", "listen_for", "log_class", "name_answers", "see", "show_desk"]


def log_class(settings: Settings) -> type[AccessLog]:
    """What writes the access log's lines."""
    if settings.log_format == "combined":
        return AccessLog
    from ..seeing.logs import FORMATS

    return FORMATS[settings.log_format]


def see(server: Server, settings: Settings) -> None:
    """Have a server tell what is asked for."""
    if settings.health:
        from ..seeing.health import answer_health

        answer_health(server, settings.health, settings.log_health)


def name_answers(server: Server, settings: Settings) -> None:
    """Have each answer say what its request is called, if that is asked for.

    It comes after what records connections, so that what is recorded is what is sent.
    """
    if settings.request_id:
        from ..seeing.identified import identified

        server.handler_class = identified(server.handler_class)


def desk_of(settings: Settings, before: Desk | None = None) -> Desk | None:
    """An operator's pages, if there are any, in the place of those `before`.  Raises Wrong."""
    if settings.status is None and settings.metrics is None:
        return None
    from ..seeing.places import Desk

    places: dict[Page, int | str] = {}
    if settings.status is not None:
        from ..seeing.status import add_status

        places[add_status] = settings.status
    if settings.metrics is not None:
        try:
            from ..seeing.metrics import add_metrics
        except ImportError:
            told = needs(settings.named(Settings.metrics), "prometheus-client")
            raise Wrong(told, settings.origin(Settings.metrics)) from None
        places[add_metrics] = settings.metrics
    return Desk(places, before)


def listen_for(desk: Desk, settings: Settings) -> dict[int | str, int]:
    """Have an operator's pages listen, before a fork if there is one; which port each has that was asked for.

    Raises Wrong.
    """
    try:
        return desk.listen()
    except OSError as why:
        option = Settings.status if settings.status == why.filename else Settings.metrics
        told = f"{settings.named(option)}: no port {why.filename}: {why.strerror or why}; name another"
        raise Wrong(told, settings.origin(option)) from None


def show_desk(server: Server, desk: Desk | None, settings: Settings, tell: Callable[[str], None]) -> None:
    """Show a server that listens, and tell where, once it is said where the server is.  Raises Wrong."""
    if desk is None:
        return
    ports = listen_for(desk, settings)
    desk.attach(server)
    for place, what, path in ((settings.status, "status page is", ""), (settings.metrics, "metrics are", "metrics")):
        if place in ports:
            server.timers.call_soon(tell, f"the {what} at http://127.0.0.1:{ports[place]}/{path}")
