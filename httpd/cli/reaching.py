"""Where the server is reached: addresses, ports, a unix socket, certificates."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config.option import Option, Wrong
from ..config.settings import Settings
from ..net.addresses import WILDCARDS, unbracketed
from ..server.server import Server

if TYPE_CHECKING:
    import ssl

__all__ = ["Secure", "not_bound", "secure", "start"]

# How many ports --port-auto tries.
_MOST_PORTS = 100


class Secure(NamedTuple):
    """What TLS is spoken with: a context, or what gives the one for the next connection; and for which names."""

    tls: ssl.SSLContext | Callable[[], ssl.SSLContext]
    names: Callable[[], Collection[str]]


def secure(settings: Settings, tell: Callable[[str], None]) -> Secure | None:
    """What to speak TLS with, None where it is not spoken.  Raises Wrong."""
    if not settings.tls_cert and not settings.tls_self_signed:
        return None
    from .. import certificates

    try:
        if settings.tls_cert:
            kept = certificates.Certificates(zip_longest(settings.tls_cert, settings.tls_key, fillvalue=""))
            return Secure(kept, lambda: kept.names)
        addresses = [unbracketed(address).partition("%")[0] for address in settings.addresses]
        names = [*addresses, *(name for name, _ in settings.host)]
        own = certificates.self_signed(name for name in names if name not in WILDCARDS)
    except certificates.CertificateError as why:
        option: Option[Any] = Settings.tls_cert if settings.tls_cert else Settings.tls_self_signed
        if why.file in settings.tls_key:
            option = Settings.tls_key
        raise Wrong(f"{settings.named(option)}: {why}", settings.origin(option)) from None
    lasting = "" if own.kept else "; it cannot be kept, so the next start makes another"
    tell(f"the certificate's SHA-256 is {own.fingerprint}{lasting}")
    return Secure(own.context, lambda: own.names)


def start(server: Server, settings: Settings) -> None:
    """Have the server listen, with --port-auto at the next free port.  Raises Wrong."""
    first = server.port
    for _ in range(_MOST_PORTS):
        try:
            server.start()
            return
        except OSError as why:
            if why.errno != errno.EADDRINUSE or not settings.port_auto or server.port >= 65_535:
                raise not_bound(why, settings) from None
            server.port += 1
    raise Wrong(f"no free port from {first} on; name another with --port")


def not_bound(why: OSError, settings: Settings) -> Wrong:
    """What to say of a place that cannot be had."""
    port = settings.port
    if settings.unix and why.filename == settings.unix:
        return Wrong(f"cannot listen at {settings.unix}: {why.strerror}; check --unix")
    if why.filename == f"port {settings.redirect_from}":
        return Wrong(f"cannot listen at {why.filename}: {why.strerror}; check --redirect-from")
    if why.errno == errno.EADDRINUSE:
        return Wrong(f"port {port} is taken; use --port N for another, --port-auto for the next free one")
    if why.errno == errno.EACCES:
        return Wrong(f"no permission for port {port}; use one above 1023")
    return Wrong(f"cannot listen on {why.filename} port {port}: {why.strerror or why}; check --bind")
