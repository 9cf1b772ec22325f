"""A submission as a mail: what strangers wrote breaks no header, and what the mail server says is understood."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.inbox.deliveries import Delivery
from httpd.inbox.mail import Mail, MailServer, compose, parse_server
from httpd.inbox.records import Record
from httpd.inbox.sending import Failed, GivenUp
from httpd.inbox.submissions import StoredFile, Submission
from httpd.inbox.targets import Target, mail_target

from .test_webhook import strange
from .tools import needs, needs_module

DELIVERY = Delivery("msg_1", "01", "mail", "owner@example.org", 1)


def record(*fields: tuple[str, str], files: tuple[StoredFile, ...] = ()) -> Record:
    return Record(Submission("01", "/contact", 1_700_000_000_000_000, "192.0.2.1", "t", list(fields)), files)


def parsed(made: Record) -> EmailMessage:
    """What a reader makes of the mail as it goes over the wire."""
    octets = compose(DELIVERY, made, "site@example.net").as_bytes()
    assert all(len(line) < 999 for line in octets.split(b"\r\n"))
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_a_mail() -> None:
    file = StoredFile("01", 0, "cv", "me.pdf", "application/pdf", 12)
    mail = parsed(record(("name", "Ada Löwe"), ("email", "ada@example.com"), ("message", "one\r\ntwo"), files=(file,)))
    assert mail["From"] == "site@example.net"
    assert mail["To"] == "owner@example.org"
    assert mail["Reply-To"] == "ada@example.com"
    assert mail["Subject"] == "/contact: Ada Löwe"
    assert mail["Message-ID"] == "<msg_1@example.net>"
    assert mail["Date"].datetime.isoformat() == "2023-11-14T22:13:20+00:00"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == (
        "name: Ada Löwe\n"
        "email: ada@example.com\n"
        "message:\none\ntwo\n\n"
        "cv: a file, me.pdf, 12 bytes\n"
        "\n"
        "Sent to /contact at 2023-11-14T22:13:20.000000Z from 192.0.2.1.\n"
        "It is kept as 01.\n"
    )


def test_it_is_the_same_mail_at_every_attempt() -> None:
    assert compose(DELIVERY, record(("a", "b")), "s@example.net").as_bytes() == (
        compose(DELIVERY._replace(attempts=2), record(("a", "b")), "s@example.net").as_bytes()
    )


NAMES = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
         "MIME-Version"]  # fmt: skip


@pytest.mark.parametrize(
    "hostile",
    [
        "a@example.com\r\nBcc: everyone@example.com",
        "a@example.com\nBcc: everyone@example.com",
        "\r\n\r\n<script>",
        "a@example.com, b@example.com",
        "A <a@example.com>",
        "a@example.com\x00",
        "a\u2028Bcc: x@example.com",
        "=?utf-8?q?=0D=0ABcc:_x=40example.com?=",
        "=?utf-8?q?=0D=0ABcc=3A_x=40example.com?=@example.com",
        "==??utf-8?q?=0D=0ABcc:_x=40example.com?=",
        "=\x00?utf-8?q?=0D=0ABcc:_x=40example.com?=",
        "x" * 3_000,
        "\ud800",
        "@example.com",
        "a@-example.com",
        f"{'a' * 250}@example.com",
    ],
)
def test_no_value_adds_a_header(hostile: str) -> None:
    mail = parsed(record(("email", hostile), (hostile, hostile)))
    assert sorted(mail.keys()) == sorted(NAMES)
    assert len(mail["Subject"]) <= 120
    assert "\n" not in mail["Subject"]


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_is_written_makes_a_mail_of_these_headers(name: str, value: str) -> None:
    mail = parsed(record((name, value), ("email", value)))
    assert set(mail.keys()) - {"Reply-To"} == set(NAMES)


def test_an_empty_submission_has_a_subject() -> None:
    assert parsed(record())["Subject"] == "/contact:"


@pytest.mark.parametrize("address", ["me@example.org", "first.last+forms@mail.example.org", "root@localhost"])
def test_addresses(address: str) -> None:
    assert mail_target(address) == Target("mail", address)


@pytest.mark.parametrize(
    "address", ["", "me", "me@", "me@example.org\n", "a b@example.org", "a@b@c", '"a"@example.org']
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not a mail address"):
        mail_target(address)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", MailServer("mail.example.org", 587, "starttls", "me", "pw")),
        ("smtp://mail.example.org:25", MailServer("mail.example.org", 25, "starttls", "me", "pw")),
        ("smtps://mail.example.org/", MailServer("mail.example.org", 465, "tls", "me", "pw")),
    ],
)
def test_mail_servers(url: str, server: MailServer) -> None:
    assert parse_server(url, "me", "pw") == server
    assert "pw" not in repr(server)


def test_the_mail_server_of_this_machine_needs_no_tls_and_gets_no_password() -> None:
    assert parse_server("smtp://localhost") == MailServer("localhost", 25, "")
    with pytest.raises(ValueError, match="unencrypted"):
        parse_server("smtp://127.0.0.1:2525", "me", "pw")


@pytest.mark.parametrize(
    "url", ["", "mail.example.org", "http://a", "smtp://", "smtp://a:x", "smtp://me:pw@a", "smtp://a/b"]
)
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"smtp://HOST"):
        parse_server(url)


# ---- by a real server


class Postbox:
    """What arrives; `answers` are the server's, by command, in the place of success."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answers: dict[str, str] = {}

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.mails.append((session, envelope))
        return "250 OK"


@contextlib.contextmanager
def post_office(box: Postbox, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """A mail server on this machine, its loop in a thread; its port.  `tls` is spoken from the first byte."""
    needs_module("aiosmtpd")
    from aiosmtpd.smtp import SMTP

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def in_loop(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    def conversation() -> SMTP:
        return SMTP(box, hostname="localhost", loop=loop, **options)

    server = in_loop(loop.create_server(conversation, "127.0.0.1", 0, ssl=tls))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        in_loop(_closed(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _closed(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail")
    command = [
        needs("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", str(folder / "key"), "-out", str(folder / "cert"), "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and that of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert", folder / "key")
    return server, ssl.create_default_context(cafile=str(folder / "cert"))


def test_it_arrives() -> None:
    box = Postbox()
    with post_office(box) as port:
        Mail(MailServer("127.0.0.1", port, ""), "site@example.net")(DELIVERY, record(("message", "Grüße\n.\nend")))
    [(_, envelope)] = box.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("site@example.net", ["owner@example.org"])
    got = email.message_from_bytes(envelope.content, policy=email.policy.default).get_content()
    assert got.splitlines()[:4] == ["message:", "Grüße", ".", "end"]


@pytest.mark.programs
def test_by_starttls_and_with_a_password(certificate: Path) -> None:
    needs_module("aiosmtpd")
    from aiosmtpd.smtp import AuthResult

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert session.ssl, "the password came before TLS"
        return AuthResult(success=(data.login, data.password) == (b"me", b"pw"), handled=False)

    there, here = contexts(certificate)
    box = Postbox()
    demands = {"tls_context": there, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    with post_office(box, **demands) as port:
        Mail(MailServer("127.0.0.1", port, "starttls", "me", "pw"), "s@example.net", context=here)(DELIVERY, record())
        assert len(box.mails) == 1
        wrong = Mail(MailServer("127.0.0.1", port, "starttls", "me", "secret"), "s@example.net", context=here)
        with pytest.raises(Failed, match="535") as failed:
            wrong(DELIVERY, record())
        assert "secret" not in str(failed.value)


@pytest.mark.programs
def test_by_tls_from_the_first_byte(certificate: Path) -> None:
    there, here = contexts(certificate)
    box = Postbox()
    with post_office(box, there) as port:
        Mail(MailServer("127.0.0.1", port, "tls"), "s@example.net", context=here)(DELIVERY, record())
        assert len(box.mails) == 1
        with pytest.raises(Failed, match="certificate"):
            Mail(MailServer("127.0.0.1", port, "tls"), "s@example.net")(DELIVERY, record())
    assert len(box.mails) == 1


def test_without_tls_nothing_is_sent_to_another_machine() -> None:
    """Whoever takes STARTTLS out of the conversation gets nothing."""
    box = Postbox()
    with post_office(box) as port, pytest.raises(Failed, match="STARTTLS"):
        Mail(MailServer("127.0.0.1", port, "starttls"), "s@example.net")(DELIVERY, record())
    assert box.mails == []


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize(("answer", "outcome"), [("451 4.7.1 greylisted", Failed), ("550 5.1.1 no such user", GivenUp)])
def test_what_the_server_says_is_understood(command: str, answer: str, outcome: type[Exception]) -> None:
    box = Postbox()
    box.answers[command] = answer
    with post_office(box) as port, pytest.raises(outcome, match=f"the mail server said {answer}"):
        Mail(MailServer("127.0.0.1", port, ""), "s@example.net")(DELIVERY, record())


def test_who_may_not_send_is_the_owners_to_mend() -> None:
    box = Postbox()
    box.answers["MAIL"] = "550 5.7.1 not you"
    with post_office(box) as port, pytest.raises(Failed, match=r"said 550 5\.7\.1 not you"):
        Mail(MailServer("127.0.0.1", port, ""), "s@example.net")(DELIVERY, record())


def spoken(url: str, **times: float) -> str:
    """Send a mail to the strange server at a URL; what is told of the failure."""
    port = urlsplit(url).port or 0
    with pytest.raises(Failed) as failed:
        Mail(MailServer("127.0.0.1", port, ""), "s@example.net", **times)(DELIVERY, record())
    return str(failed.value)


def test_who_does_not_talk_to_us_is_told() -> None:
    with strange(lambda sock, over: sock.sendall(b"554 go away\r\n"), waits=False) as url:
        assert spoken(url) == "the mail server said 554 go away"


def test_what_is_told_of_a_server_can_be_kept_and_shown() -> None:
    def refuse(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"220 hello\r\n")
        while sock.recv(1_000):
            sock.sendall(b"500 \0\x1b[2J\r\n")

    with strange(refuse, waits=False) as url:
        assert spoken(url) == r"the mail server said 500 \x00\x1b[2J"


def test_a_mail_server_that_never_comes_to_an_end_is_cut() -> None:
    def drip(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"220")
        while not over.wait(0.05):
            sock.sendall(b"-")

    with strange(drip, waits=False) as url:
        assert spoken(url, whole=0.3) == "it took longer than 0.3 s"


def test_no_mail_server_is_a_failure() -> None:
    with post_office(Postbox()) as port:
        pass
    with pytest.raises(Failed, match="refused"):
        Mail(MailServer("127.0.0.1", port, ""), "s@example.net")(DELIVERY, record())
