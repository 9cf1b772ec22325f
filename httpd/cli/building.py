"""From settings to a server that listens nowhere yet: whoever has sockets already, hands them over later."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.option import Wrong
from ..config.settings import Settings
from ..net.addresses import unbracketed
from ..server.limits import read_limits
from ..server.server import Server
from ..server.service import Site
from ..site.templates import Templates
from .reaching import Secure, secure
from .seeing import log_class, see
from .sites import open_site, realms_of

if TYPE_CHECKING:
    from ..passwords.tries import Tries
    from ..seeing.places import Desk

__all__ = ["build"]


def build(
    settings: Settings,
    tell: Callable[[str], None],
    desk: Desk | None = None,
    speaks: Secure | None = None,
    tries: Tries | None = None,
) -> Server:
    """The server of these settings; `tell` says a sentence to the operator, `desk` has pages for that person.  Raises
    Wrong.

    `speaks` is what `secure` has made of them, where keys were to be read before anything else; `tries` counts wrong
    passwords, where other processes count them, too.

    It may be called again, for another server: an application that is imported stays imported.
    """
    if settings.reload:
        from .developing import require_reloading

        require_reloading()
        Templates.reloads = True
    # What cannot be served after all leaves nothing open.
    with contextlib.ExitStack() as beside:
        server = _built(settings, tell, _site(settings, desk, tries, beside), speaks)
        server.beside.push(beside.pop_all())
    see(server, settings)
    return server


def _built(settings: Settings, tell: Callable[[str], None], site: Site, speaks: Secure | None) -> Server:
    """The server of a site.  Raises Wrong."""
    headers = list(settings.header)
    if settings.cors:
        from ..site.cors import Preflight, cors_lines

        site, headers = Preflight(site), [*headers, *cors_lines(settings.cors)]
    if settings.hsts is not None:
        headers.append(("Strict-Transport-Security", f"max-age={settings.hsts}"))
    speaks = speaks or secure(settings, tell)
    if settings.auth and speaks is None and not all(map(_is_loopback, settings.addresses)):
        tell("passwords are sent unencrypted; see --tls-cert and --tls-self-signed")
    try:
        server = Server(
            site,
            settings.addresses,
            settings.port,
            unix=settings.unix,
            unix_mode=settings.unix_mode,
            tls=speaks and speaks.tls,
            passing=_passing(settings, speaks, site, lambda: server.port),
            proxies=settings.trust_proxy,
            limits=read_limits(settings.limit),
            access_log=settings.access_log,
            log_class=log_class(settings),
            headers=headers,
        )
    except OSError as why:
        told = f"cannot open the access log {settings.access_log}: {why.strerror or why}; check --access-log"
        raise Wrong(told, settings.origin(Settings.access_log)) from None
    return server


def _site(settings: Settings, desk: Desk | None, tries: Tries | None, beside: contextlib.ExitStack) -> Site:
    """The site with its forms, compressed, with an operator's pages, for its users; `beside` closes what it uses."""
    realms = realms_of(settings, tries) if settings.auth else None
    site = open_site(settings, realms)
    if settings.form or settings.inbox_page:
        from .inbox import with_forms_of

        site = with_forms_of(settings, site, beside)
    if settings.gzip:
        from ..site.gzipped import Gzipped

        site = Gzipped(site)
    if desk is not None:
        site = desk.around(site)
    if realms is not None:
        from ..passwords.realms import Protected

        site = Protected(site, realms)
    return site


def _passing(settings: Settings, speaks: Secure | None, site: Site, port: Callable[[], int]) -> tuple[int, Site] | None:
    """The port that leads who comes without TLS to that which speaks it."""
    if settings.redirect_from is None or speaks is None:
        return None
    from ..site.to_https import ToHttps

    return settings.redirect_from, ToHttps(site, speaks.names, port)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or unbracketed(address) in ("::1", "localhost")
