"""What is right by itself and wrong beside other options: whoever gave it counts on it, and it would do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .option import Option, Wrong
from .settings import Settings

__all__ = ["disagreements", "for_one_process"]


def disagreements(settings: Settings) -> Iterator[Wrong]:
    """Every option that does nothing beside the others, or works against them, with what to do about it."""
    yield from _two_sites(settings)
    yield from _for_folders(settings)
    yield from _sockets(settings)
    yield from _certificates(settings)
    yield from _operators_paths(settings)
    yield from _hosts(settings)
    yield from _forms(settings)
    if settings.workers or settings.user:
        yield from for_one_process(settings)
    if settings.log_health and not settings.health:
        told = f"{settings.named(Settings.log_health)} is for a path of health; name that with --health"
        yield Wrong(told, settings.origin(Settings.log_health))


def _two_sites(settings: Settings) -> Iterator[Wrong]:
    program, named = settings.program(), settings.named
    if program is None:
        return
    if settings.app and settings.wsgi:
        yield _wrong(settings, program, f"{named(Settings.app)} and {named(Settings.wsgi)} are two sites")
    if settings.is_given(Settings.dir):
        yield _wrong(settings, program, f"{named(program)} serves a site of your own instead of {settings.dir}")


def _for_folders(settings: Settings) -> Iterator[Wrong]:
    program = settings.program()
    if program is None or settings.host:
        return
    for option in (Settings.spa, Settings.listing, Settings.symlinks):
        if settings.is_given(option) and getattr(settings, option.name) != option.unset():
            told = f"{settings.named(option)} is for a folder, and {settings.named(program)} is none"
            yield Wrong(f"{told}; set it where the application has its folders", settings.origin(option))


def _sockets(settings: Settings) -> Iterator[Wrong]:
    if settings.is_given(Settings.unix_mode) and not settings.unix:
        told = f"{settings.named(Settings.unix_mode)} is for a unix socket; name that with --unix"
        yield Wrong(told, settings.origin(Settings.unix_mode))
    if settings.addresses:
        return
    if settings.open:
        told = "a browser opens no unix socket; name an address too, with --bind"
        yield Wrong(told, settings.origin(Settings.open))
    for option in (Settings.tls_cert, Settings.tls_self_signed):
        if getattr(settings, option.name):
            told = "TLS is not spoken at a unix socket; name an address too, with --bind"
            yield Wrong(told, settings.origin(option))


def for_one_process(settings: Settings) -> Iterator[Wrong]:
    """What watches one process, and cannot be had with a parent and its workers."""
    one = (Settings.reload, Settings.open, Settings.trace, Settings.console, Settings.port_auto)
    for option in one:
        if getattr(settings, option.name) not in (False, "", None):
            told = f"{settings.named(option)} is for one process, and here a parent has workers"
            yield _wrong(settings, option, told)


def _certificates(settings: Settings) -> Iterator[Wrong]:
    named = settings.named
    if settings.tls_key and not settings.tls_cert:
        told = f"{named(Settings.tls_key)} names the key of a certificate; name that with --tls-cert"
        yield Wrong(told, settings.origin(Settings.tls_key))
    elif settings.tls_key and len(settings.tls_key) != len(settings.tls_cert):
        told = f"{named(Settings.tls_key)} names a key for each certificate, in their order, or none"
        yield Wrong(told, settings.origin(Settings.tls_key))
    if settings.tls_cert and settings.tls_self_signed:
        told = f"{named(Settings.tls_cert)} and {named(Settings.tls_self_signed)} are two certificates"
        yield _wrong(settings, Settings.tls_self_signed, told)
    secure = settings.tls_cert or settings.tls_self_signed
    if settings.redirect_from is not None and not secure:
        told = f"{named(Settings.redirect_from)} leads to TLS, which is not spoken; name a certificate with --tls-cert"
        yield Wrong(told, settings.origin(Settings.redirect_from))
    if settings.redirect_from and settings.redirect_from == settings.port:
        told = f"{named(Settings.redirect_from)} is another port than that where TLS is spoken; name that with --port"
        yield Wrong(told, settings.origin(Settings.redirect_from))
    if settings.hsts is not None and not (secure or settings.trust_proxy):
        told = f"{named(Settings.hsts)} counts over TLS only; name a certificate with --tls-cert"
        yield Wrong(told, settings.origin(Settings.hsts))


def _operators_paths(settings: Settings) -> Iterator[Wrong]:
    """What tells of the server is for nobody without a password."""
    parts = (text.partition("=") for text in settings.auth)
    protected = [path if path.startswith("/") and file else "/" for path, _, file in parts]
    if settings.status and isinstance(settings.status, str) and settings.status == settings.metrics:
        told = f"{settings.named(Settings.status)} and {settings.named(Settings.metrics)} are at one path"
        yield Wrong(f"{told}; give each its own", settings.origin(Settings.metrics))
    port = ", or name a port of this machine"
    for option, instead in ((Settings.status, port), (Settings.metrics, port), (Settings.inbox_page, "")):
        place = getattr(settings, option.name)
        if not place or not isinstance(place, str):
            continue
        if not any(f"{place}/".startswith(f"{path.rstrip('/')}/") for path in protected):
            told = f"{settings.named(option)} {place} would be there for everybody; ask for a password with --auth"
            yield Wrong(f"{told} {place}=FILE{instead}", settings.origin(option))


def _forms(settings: Settings) -> Iterator[Wrong]:
    if settings.form or settings.inbox_page:
        return
    for option in (Settings.webhook, Settings.mail_to):
        if getattr(settings, option.name):
            told = f"{settings.named(option)} is for what comes in by a form; name its path with --form"
            yield Wrong(told, settings.origin(option))


def _hosts(settings: Settings) -> Iterator[Wrong]:
    seen = set()
    for (name, _), written in zip(settings.host, settings.written.get(Settings.host.name, ()), strict=True):
        if name in seen:
            told = f"{settings.named(Settings.host)}: the host {name} has two sites; name each host once"
            yield Wrong(told, written.origin)
        seen.add(name)


def _wrong(settings: Settings, option: Option[Any], told: str) -> Wrong:
    return Wrong(f"{told}; leave one of them out", settings.origin(option))
