"""`httpd tour`: a small site that shows the server at work, with the console beside it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from ..command_parser import CommandParser
from ..config.arguments import FLAGS
from ..config.settings import Settings
from ..inbox.declared import declare
from ..inbox.form import FormHandler
from ..inbox.forms import Forms
from ..inbox.opening import open_inbox
from ..inbox.page import owner_page
from ..server.aside import AtHome
from ..server.server import Server
from ..tour.handler import toured
from ..tour.site import tour_site
from ..tour.sources import Sources
from .developing import developing
from .reaching import start
from .serving import settings_for
from .watching import show_console

__all__ = ["main"]

_TAKEN = (Settings.port, Settings.port_auto, Settings.console, Settings.open)

_FORM: dict[str, Any] = {
    "title": "Write to the harbour master",
    "intro": "Nothing leaves this machine, and nothing stays when the tour ends.",
    "fields": {
        "name": {"required": True, "max": 100, "label": "Your name, or your boat's"},
        "berth": {"type": "choice", "required": True, "choices": ["For a night", "For a week", "Only to look"]},
        "message": {"required": True, "lines": 4, "max": 2000},
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.  Raises Wrong."""
    parser = CommandParser(
        prog="httpd tour",
        usage="httpd tour [--port PORT] [--port-auto] [--console PORT] [--open]",
        description="Serve a small site that shows what the server does, and beside it the console, where the requests "
        "for its pages can be watched.  Nothing is kept: what is sent to its form goes when the tour ends.",
        epilog="All options are those of httpd.  A folder called tour is served by httpd ./tour.",
    )
    _, words = parser.parse_own(argv, FLAGS)
    # There is a console in any case: what is said later counts.
    settings = settings_for("httpd tour", ["--console", *words], _TAKEN)
    if os.path.isdir("tour"):
        _tell("this is the tour of the server; the folder tour is served by httpd ./tour")
    sources = Sources()
    with contextlib.closing(_server(settings, sources)) as server:
        start(server, settings)
        _show(server, settings, sources)
        with developing(server, settings):
            server.run()
    return 0


def _server(settings: Settings, sources: Sources) -> Server:
    """The tour's server, which listens nowhere yet; at its end nothing is left of the inbox."""
    with contextlib.ExitStack() as beside:
        folder = beside.enter_context(tempfile.TemporaryDirectory(prefix="httpd-tour-"))
        database = open_inbox("sqlite:" + os.path.join(folder, "inbox.db"))
        beside.callback(database.close)
        form = FormHandler(declare("/contact", _FORM), database)
        site = Forms(tour_site(owner_page(database), sources), [form], database)
        server = Server(AtHome(site), port=settings.port, access_log="off")
        server.beside.push(beside.pop_all())
    return server


def _show(server: Server, settings: Settings, sources: Sources) -> None:
    """Have connections recorded, and every page of a stop say where it is to be watched.  Raises Wrong."""
    port = show_console(server, None, settings, _tell)

    def watch(channel: Any) -> str:
        return f"http://127.0.0.1:{port}/wire/{channel.connection}#n={channel.asked_in}"

    server.handler_class = toured(server.handler_class, sources, watch)


def _tell(sentence: str) -> None:
    print("httpd:", sentence, file=sys.stderr, flush=True)
