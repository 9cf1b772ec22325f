"""The site's forms, and the store that keeps what they take."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from ..config.option import Origin, Wrong
from ..config.settings import Settings
from ..net.addresses import client_of
from ..packages import needs
from ..server.service import Site
from .sending import senders_of, sending, targets_of
from .sites import current_folder

if TYPE_CHECKING:
    from ..inbox.declared import Declaration
    from ..inbox.submissions import Submission
    from ..inbox.targets import Target
    from ..inbox.tokens import Tokens
    from ..store.database import Database
    from ..store.schema import Transaction

__all__ = ["declared_form", "require_hidden", "with_forms_of"]

# The key of signed tokens, where several machines have one, and none where a file of ours would do.
_KEY = "HTTPD_FORM_KEY"
_SQLITE = "sqlite:"


def with_forms_of(settings: Settings, site: Site, beside: ExitStack) -> Site:
    """The site with the forms of the settings; `beside` closes what they use.  Raises Wrong."""
    from ..inbox.form import FormHandler
    from ..inbox.forms import Forms
    from ..inbox.opening import open_inbox

    declared = [declared_form(settings, path) for path in dict(settings.form)]
    url = settings.inbox
    require_hidden(settings)
    tokens = {form.path: _tokens(form, url) for form in declared}
    targets = targets_of(settings, declared)
    senders = senders_of(settings, targets)
    try:
        database = open_inbox(url)
    except ValueError as why:
        raise Wrong(f"{why}; see --inbox", settings.origin(Settings.inbox)) from None
    beside.callback(database.close)
    threading.Thread(target=_sweep, args=[database], name="httpd-sweeper", daemon=True).start()
    wake = sending(senders, database, beside)
    handlers = [
        FormHandler(
            form,
            database,
            tokens=tokens[form.path],
            client=client_of,
            then=partial(_enqueue, targets[form.path]),
            afterwards=wake,
        )
        for form in declared
    ]
    try:
        return Forms(site, handlers, database, settings.inbox_page)
    except ValueError as why:
        raise Wrong(f"{why}: give each form, and the page of the inbox, a path of its own") from None


def _sweep(database: Database) -> None:
    """Remove what a server left that was killed; nobody waits for that."""
    from ..inbox.keeping import sweep
    from ..store.errors import Unavailable

    with suppress(Unavailable):
        sweep(database, time.time_ns() // 1_000)


def _enqueue(targets: Sequence[Target], transaction: Transaction, submission: Submission) -> None:
    from ..inbox.deliveries import enqueue

    enqueue(transaction, submission.id, targets, submission.received)


def declared_form(settings: Settings, path: str) -> Declaration:
    """The form at a path; where that is only named, the table stands elsewhere, or nowhere.  Raises Wrong."""
    from ..inbox.declared import FormError, declare

    tables = [table for name, table in settings.form if name == path]
    try:
        return declare(path, next(filter(None, tables), {}))
    except FormError as why:
        raise Wrong(str(why), _origin(settings, why.key), 2) from None


def _origin(settings: Settings, key: tuple[str, ...]) -> Origin | None:
    """Where a key of a form is written; that it is only named, an option may say, or a variable."""
    origin = next((each.origin for each in settings.written["form"] if key[1:2] == each.text[:1]), None)
    return origin and origin._replace(place=settings.place(key))


def require_hidden(settings: Settings) -> None:
    """Refuse a file that would be served, with what people have sent in it.  Raises Wrong."""
    from ..site.root import is_served

    url = settings.inbox
    file = url.removeprefix(_SQLITE)
    if url.startswith(_SQLITE) and not os.path.isabs(file):
        current_folder()
    for folder in settings.folders if url.startswith(_SQLITE) else ():
        if is_served(file, folder):
            told = f"{file} is in {folder}, which is served: anyone could read it; name another, or begin it with a dot"
            raise Wrong(told, settings.origin(Settings.inbox))


def _tokens(form: Declaration, url: str) -> Tokens | None:
    """What signs the tokens of a form that asks for it."""
    if not form.signed:
        return None
    from ..inbox.tokens import SignedTokens

    try:
        return SignedTokens(time.time, _key(url), form.path)
    except ImportError:
        raise Wrong(needs("token = true", "itsdangerous")) from None


def _key(url: str) -> bytes:
    from ..inbox.secret import SHORTEST, kept_key

    given = os.environ.get(_KEY, "")
    if given:
        if len(given) < SHORTEST:
            raise Wrong(f"{_KEY} is a secret of {SHORTEST} characters or more; this one has {len(given)}")
        return given.encode()
    if not url.startswith(_SQLITE):
        raise Wrong(f"all machines that share the inbox sign with one key: set {_KEY} to a secret on each of them")
    try:
        return kept_key(url.removeprefix(_SQLITE) + ".key")
    except OSError as why:
        raise Wrong(f"cannot keep the key of the forms in {why.filename}: {why.strerror}") from None
    except ValueError as why:
        raise Wrong(str(why)) from None
