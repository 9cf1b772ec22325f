"""Where the site's submissions are sent on to, and what sends them: webhooks and mail.

Secrets come from the environment alone: an option is seen by every user of the machine, a file is copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..config.option import Option, Wrong
from ..config.settings import Settings

if TYPE_CHECKING:
    from ..inbox.declared import Declaration
    from ..inbox.outbox import Sender
    from ..inbox.targets import Target
    from ..store.database import Database

__all__ = ["senders_of", "sending", "targets_of"]

_SECRET = "HTTPD_WEBHOOK_SECRET"
_USER = "HTTPD_MAIL_USER"
_PASSWORD = "HTTPD_MAIL_PASSWORD"


def targets_of(settings: Settings, declared: Sequence[Declaration]) -> dict[str, list[Target]]:
    """For each form where its submissions are sent on to: what it says itself, else what is said of all.  Raises
    Wrong."""
    of_all = {
        "webhook": _read(settings, Settings.webhook, "webhook"),
        "mail": _read(settings, Settings.mail_to, "mail"),
    }
    return {
        form.path: [target for kind in of_all for target in form.targets.get(kind, of_all[kind])] for form in declared
    }


def _read(settings: Settings, option: Option[tuple[str, ...]], kind: str) -> tuple[Target, ...]:
    from ..inbox.targets import read_targets

    try:
        return read_targets(kind, getattr(settings, option.name))
    except ValueError as why:
        raise _wrong(settings, option, why) from None


def senders_of(settings: Settings, targets: Mapping[str, Iterable[Target]]) -> dict[str, Sender]:
    """What sends each kind of targets.  Raises Wrong."""
    return dict(_senders(settings, {target.kind for several in targets.values() for target in several}))


def sending(senders: Mapping[str, Sender], database: Database, beside: ExitStack) -> Callable[[], object]:
    """Have sent on what is to be, until `beside` ends; what to call when there is more."""
    if not senders:
        return _nothing
    from ..inbox.outbox import Outbox

    outbox = Outbox(database, senders)
    beside.callback(outbox.close)
    outbox.start()
    return outbox.wake


def _nothing() -> None:
    """There is nobody to wake."""


def _senders(settings: Settings, needed: set[str]) -> Iterable[tuple[str, Sender]]:
    """Of those that are needed, and of those that earlier submissions may have."""
    if "webhook" in needed or os.environ.get(_SECRET):
        yield "webhook", _webhook()
    if "mail" in needed or settings.mail_from:
        yield "mail", _mail(settings)


def _webhook() -> Sender:
    from ..inbox.webhook import Webhook, parse_keys

    try:
        return Webhook(parse_keys(os.environ.get(_SECRET, "")))
    except ValueError as why:
        raise Wrong(f'{why}; set {_SECRET}, as in: export {_SECRET}="whsec_$(openssl rand -base64 32)"') from None


def _mail(settings: Settings) -> Sender:
    from ..inbox.mail import Mail, parse_server

    if not settings.mail_from:
        raise Wrong("mail is from somebody; say whom with --mail-from", settings.origin(Settings.mail_to))
    try:
        user = os.environ.get(_USER, "")
        server = parse_server(settings.mail_server, user, os.environ.get(_PASSWORD, ""))
    except ValueError as why:
        raise _wrong(settings, Settings.mail_server, why) from None
    try:
        return Mail(server, settings.mail_from)
    except ValueError as why:
        raise _wrong(settings, Settings.mail_from, why) from None


def _wrong(settings: Settings, option: Option[Any], why: ValueError) -> Wrong:
    return Wrong(f"{settings.named(option)}: {why}", settings.origin(option), 2)
