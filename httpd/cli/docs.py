"""`httpd docs`: what the docstrings of everything public say, as pages that pdoc makes and this server serves."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..command_parser import CommandParser
from ..config.arguments import FLAGS
from ..config.option import Wrong
from ..config.settings import Settings
from ..packages import needs
from ..resources import folder
from ..server.server import Server
from ..site.static import StaticFiles
from .developing import developing
from .reaching import start
from .serving import settings_for

__all__ = ["PUBLIC", "main", "render"]

# What a program may import, the package itself first.
PUBLIC = (
    "httpd",
    "httpd.net.asyncore",
    "httpd.net.asynchat",
    "httpd.net.producers",
    "httpd.net.tls",
    "httpd.net.wake",
    "httpd.site.cors",
    "httpd.site.events",
    "httpd.certificates",
    "httpd.passwords.realms",
    "httpd.sessions",
    "httpd.store.database",
    "httpd.store.schema",
    "httpd.trace.laws",
    "httpd.trace.replay",
    "httpd.trace.tracing",
    "httpd.wsgi",
)
# Of the server's options those that make sense here.
_TAKEN = (Settings.port, Settings.port_auto, Settings.open)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.  Raises Wrong."""
    parser = CommandParser(
        prog="httpd docs",
        usage="httpd docs [--port PORT] [--port-auto] [--open] [--output DIR]",
        description="Serve the reference: the docstrings of all that a program may import, as pages.",
        epilog="--port, --port-auto and --open are those of httpd.  A folder called docs is served by httpd ./docs.",
    )
    parser.add_argument("--output", metavar="DIR", help="write the pages into a folder instead, and end")
    options, others = parser.parse_own(argv, FLAGS)
    settings = settings_for("httpd docs", others, _TAKEN)
    if options.output:
        _written(options.output)
        print(f"the first page is {os.path.join(options.output, 'index.html')}")
        return 0
    with tempfile.TemporaryDirectory(prefix="httpd-docs-") as pages:
        _written(pages)
        with contextlib.closing(Server(StaticFiles(pages), port=settings.port, access_log="off")) as server:
            start(server, settings)
            with developing(server, settings):
                server.run()
    return 0


def _written(pages: str) -> None:
    """Write the pages.  Raises Wrong."""
    try:
        render(pages)
    except ImportError:
        raise Wrong(needs("httpd docs", "pdoc")) from None
    except OSError as why:
        raise Wrong(f"cannot write into {pages}: {why.strerror or why}; name another folder with --output") from None


def render(to: str | os.PathLike[str]) -> list[str]:
    """Write the pages into a folder, the first of them `index.html`; which modules they are of.

    Those that need a package which is not installed are left out.  Raises ImportError where there is no pdoc, OSError
    where the folder cannot be written.
    """
    import pdoc
    import pdoc.render

    there = [name for name in PUBLIC if _is_importable(name)]
    pdoc.render.configure(
        docformat="markdown",
        favicon="data:,",
        footer_text=f"asynchat-httpd {__version__}",
        template_directory=Path(folder("templates"), "docs"),
    )
    with warnings.catch_warnings():
        # What only a type checker can follow is shown as it is written.
        warnings.filterwarnings("ignore", module="pdoc")
        pdoc.pdoc(*there, output_directory=Path(to))
    return there


def _is_importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
