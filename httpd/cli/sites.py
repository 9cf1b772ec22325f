"""What is served: the application or the folder, or several folders, each for its host."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config.arguments import TOLD
from ..config.option import Option, Origin, Wrong
from ..config.settings import Settings
from ..nearest import nearest
from ..net.addresses import client_of
from ..packages import needs
from ..server.service import Site
from ..site.entities import Entities
from ..site.static import StaticFiles
from .commands import COMMANDS

if TYPE_CHECKING:
    from ..passwords.realms import Realms
    from ..passwords.tries import Tries

__all__ = ["application", "current_folder", "open_site", "realms_of", "require_folder"]


def open_site(settings: Settings, realms: Realms | None) -> Site:
    """The site of these settings; what `realms` cover is in no listing.  Raises Wrong."""
    for name, at in settings.placed_folders():
        require_folder(name, at)
    default = _default(settings, realms)
    if default is not None and not settings.host:
        return default
    from ..site.hosts import Hosts

    return Hosts([(name, _folder(folder, settings, realms)) for name, folder in settings.host], default)


def _default(settings: Settings, realms: Realms | None) -> Site | None:
    """The site for whoever names no other host."""
    if settings.program() is not None:
        return application(settings)
    return None if settings.root is None else _folder(settings.root, settings, realms)


def application(settings: Settings) -> Site:
    """The application that is named, imported.  Raises Wrong."""
    if settings.program() is Settings.app:
        return _imported(settings, Settings.app, settings.app, "MODULE:ROUTER, such as hello:site")
    from ..wsgi import WSGI

    imported = _imported(settings, Settings.wsgi, settings.wsgi, "MODULE:APP, such as flask_app:app")
    return WSGI(imported, multiprocess=settings.workers != 0)


def realms_of(settings: Settings, tries: Tries | None = None) -> Realms:
    """The protected paths, each with the users of its file; `tries` counts wrong passwords.  Raises Wrong."""
    try:
        from ..passwords.realms import parse_realms
    except ImportError:
        raise Wrong(needs("--auth", "bcrypt")) from None
    try:
        return parse_realms(settings.auth, settings.folders, client=client_of, tries=tries)
    except ValueError as why:
        raise Wrong(f"{settings.named(Settings.auth)}: {why}", settings.origin(Settings.auth)) from None


def current_folder() -> str:
    """Where we are.  Raises Wrong where that is no more."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Wrong("the current folder is gone; change to one that is there") from None


def require_folder(name: str, at: Origin | None = None) -> None:
    """Refuse what cannot be served, written at that place.  Raises Wrong."""
    if not name:
        raise Wrong("the name of the folder is empty; a dot is the current one", at)
    if not os.path.isabs(name):
        current_folder()
    if not os.path.exists(name):
        told = _meant(name) if not (at and at.place) else ""
        raise Wrong(f"there is no folder {name}; {told or 'name one that exists'}", at)
    if not os.path.isdir(name):
        raise Wrong(f"{name} is not a folder; name the folder it is in", at)
    if not os.access(name, os.R_OK | os.X_OK):
        raise Wrong(f"no permission to read the folder {name}; run httpd as a user who has it, or name another", at)


def _meant(word: str) -> str:
    """What a word on the command line may stand for that is no folder, "" for nothing."""
    if word.isdecimal():
        return f"a port is --port {word}"
    if f"--{word}" in TOLD:
        return f"did you mean --{word}?"
    close = nearest(word, COMMANDS)
    return f"did you mean the command {close}?" if close else ""


def _folder(name: str, settings: Settings, realms: Realms | None) -> Site:
    return StaticFiles(
        name,
        listing=settings.listing,
        guard=realms,
        symlinks=settings.symlinks,
        spa=settings.spa,
        entities=Entities(share=1 + len(settings.host)),
    )


def _imported(settings: Settings, option: Option[str], spec: str, wanted: str) -> Callable[..., Any]:
    """The callable named by MODULE:NAME, found from the current folder, or from that of the file that names it.

    Raises Wrong.
    """
    at = settings.origin(option)
    module_name, _, name = spec.partition(":")
    if not module_name or not name:
        raise Wrong(f"{settings.named(option)} takes {wanted}, not {spec!r}", at)
    folder = os.path.abspath(at.folder) if at and at.folder else current_folder()
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as why:
        if why.name != module_name.partition(".")[0] and why.name != module_name:
            told = f"the application {module_name} needs {why.name}, which is not installed; install it for this Python"
            raise Wrong(told, at) from why
        raise Wrong(f"there is no module {module_name} here; run httpd in the folder it is in", at) from None
    except (Exception, SystemExit) as why:
        told = f"importing {module_name} failed: {type(why).__name__}: {why}"
        raise Wrong(f"{told}{_place(why, folder)}; --log-level debug shows the traceback", at) from why
    site = getattr(module, name, None)
    if not callable(site):
        kind = "router" if option is Settings.app else "application"
        close = nearest(name, [word for word, value in vars(module).items() if callable(value)])
        told = f"did you mean {module_name}:{close}?" if close else "name what it calls its own"
        raise Wrong(f"{module_name} has no {kind} {name}; {told}", at)
    return site  # type: ignore[no-any-return]


def _place(why: BaseException, folder: str) -> str:
    """The last line of the application's own that has led to a failure; a SyntaxError has said it."""
    trace, place = why.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(os.path.join(folder, "")):
            place = f" ({os.path.relpath(file, folder)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place
