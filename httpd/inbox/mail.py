"""A submission as a mail to the owner, by SMTP.

What strangers wrote is in the text, and in two header fields: the subject has no line end left in it, and Reply-To is
there only if it is one plain address.  Files are named, not attached: what strangers send does not belong in a mailbox,
where programs open it.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import formatdate
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlsplit

from .deliveries import Delivery
from .moments import moment
from .plain import plain, plain_line
from .records import Record
from .sending import ALL, STEP, Failed, GivenUp, Unreached, bounded, described
from .targets import is_address, mail_target

__all__ = ["Mail", "MailServer", "compose", "parse_server"]

# How an encoded word begins (RFC 2047 §2).  EmailMessage decodes one that it is given, and if that says CR LF and the
# name of a field, sends it so.
_ENCODED = "=?"
# What fields with the sender's own address are called.
_REPLY_FIELDS = ("email", "e-mail", "mail")
_LONGEST_SUBJECT = 120
_PORTS = {"smtp": 587, "smtps": 465}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class MailServer(NamedTuple):
    """Whom mail is handed to.  `security` is "tls" from the first byte, "starttls", or "" on this very machine."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host!r}, {self.port}, {self.security!r}, …)"


def parse_server(url: str, user: str = "", password: str = "") -> MailServer:
    """The server of a URL: smtp://HOST[:587] turns to TLS by STARTTLS, smtps://HOST[:465] has it from the start.

    Only smtp:// to this very machine does without (its port is 25, if none is named), and then there is no password.
    Raises ValueError, its text a sentence.
    """
    try:
        parts = urlsplit(url)
        host, port, bad = parts.hostname or "", parts.port, parts.scheme not in _PORTS or not parts.hostname
    except ValueError:
        bad = True
    if bad or parts.path not in ("", "/") or "@" in parts.netloc or parts.query:
        raise ValueError("the mail server is smtp://HOST or smtps://HOST, perhaps with a port, and nothing else")
    if parts.scheme == "smtp" and host in _LOOPBACK:
        if user:
            raise ValueError("a password is not sent unencrypted; name the mail server with smtps://")
        return MailServer(host, port or 25, "")
    security = "tls" if parts.scheme == "smtps" else "starttls"
    return MailServer(host, port or _PORTS[parts.scheme], security, user, password)


def compose(delivery: Delivery, record: Record, sender: str) -> EmailMessage:
    """The mail.  Its Message-ID is the delivery's id: who gets it twice can tell."""
    about = record.submission
    message = EmailMessage(policy=MAIL_POLICY)
    message["From"] = sender
    message["To"] = delivery.target
    message["Subject"] = _subject(record)
    message["Date"] = formatdate(about.received // 1_000_000, usegmt=True)
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if reply := _reply_to(about.fields):
        message["Reply-To"] = reply
    message.set_content("\n".join(_lines(record)))
    return message


def _reply_to(fields: Iterable[tuple[str, str]]) -> str:
    """The sender's own address: what is in a field that is called so, or else the first value that is one; or ""."""
    addresses = [(name, value.strip()) for name, value in fields if is_address(value.strip())]
    named = [value for name, value in addresses if name.casefold() in _REPLY_FIELDS]
    return next(iter([*named, *(value for _, value in addresses)]), "")


def _subject(record: Record) -> str:
    """The form and the first thing that somebody wrote in it."""
    first = next((value.strip() for _, value in record.submission.fields if value.strip()), "")
    # As text, each character that is more would be spelled out; here a blank does.
    words = " ".join(re.sub(r"[^\S ]|[\x00-\x1f\x7f-\x9f]", " ", f"{record.submission.form}: {first}").split())
    words = plain_line(words).replace(_ENCODED, "= ?")
    return words if len(words) <= _LONGEST_SUBJECT else words[: _LONGEST_SUBJECT - 1] + "…"


def _lines(record: Record) -> Iterator[str]:
    about = record.submission
    for name, value in about.fields:
        value = plain(value)
        yield f"{plain_line(name)}:" + (f"\n{value}\n" if "\n" in value else f" {value}")
    for file in record.files:
        yield f"{plain_line(file.field)}: a file, {plain_line(file.name) or 'unnamed'}, {file.size} bytes"
    yield ""
    yield f"Sent to {plain_line(about.form)} at {moment(about.received)} from {about.address or 'an unknown address'}."
    yield f"It is kept as {about.id}."


class Mail:
    """Sends by SMTP, as `sender`.  `step` and `whole` bound the conversation, in seconds."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        *,
        context: ssl.SSLContext | None = None,
        step: float = STEP,
        whole: float = ALL,
    ) -> None:
        self._server = server
        self._sender = mail_target(sender).address
        self._context = context
        self._step = step
        self._whole = whole

    def __call__(self, delivery: Delivery, record: Record) -> None:
        """Hand it over.  Raises Failed, and GivenUp where the server will never take it for this address."""
        message = compose(delivery, record, self._sender)
        client = self._client()
        try:
            with bounded(lambda: client.sock, self._whole):
                self._hand_over(client, message)
                with contextlib.suppress(OSError):
                    # It has taken the mail, whatever it says now.
                    client.quit()
        except Failed:
            raise
        except OSError as why:
            raise _meaning(why) from why
        finally:
            client.close()

    def _client(self) -> smtplib.SMTP:
        if self._server.security == "tls":
            return smtplib.SMTP_SSL(timeout=self._step, context=self._tls)
        return smtplib.SMTP(timeout=self._step)

    def _hand_over(self, client: smtplib.SMTP, message: EmailMessage) -> None:
        # What verifies the certificate is not told to `connect`.
        client._host = self._server.host  # type: ignore[attr-defined]
        code, said = client.connect(self._server.host, self._server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        if self._server.security == "starttls":
            client.starttls(context=self._tls)
        if self._server.user:
            client.login(self._server.user, self._server.password)
        client.send_message(message)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()


def _meaning(error: OSError) -> Exception:
    """What has come of the mail.  All that smtplib raises is an OSError, too."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Failed(f"the mail server does not take the name and the password: {error.smtp_code}")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, said)] = error.recipients.values()
        return _refused(code, said)
    if isinstance(error, smtplib.SMTPDataError):
        return _refused(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPResponseException):
        # Whom it does not talk to, or who may not send, is the owner's to mend, so it is tried again.
        return Failed(_said(error.smtp_code, error.smtp_error))
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return Failed(described(error))
    return Unreached(described(error))


def _refused(code: int, said: bytes | str) -> Exception:
    """This mail, for this address: 5yz is for good (RFC 5321 §4.2.1)."""
    return (GivenUp if 500 <= code < 600 else Failed)(_said(code, said))


def _said(code: int, said: bytes | str) -> str:
    text = said if isinstance(said, str) else said.decode("utf-8", "replace")
    return f"the mail server said {code} {plain_line(text)}"
