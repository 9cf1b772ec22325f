"""A submission as a signed POST: what the receiver gets, and what its answers mean."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from httpd import HTTPError, Request, Response, Router, redirect, text
from httpd.inbox.deliveries import Delivery
from httpd.inbox.records import Record
from httpd.inbox.sending import Failed, GivenUp, Unreached
from httpd.inbox.submissions import StoredFile, Submission
from httpd.inbox.targets import Target, webhook_target
from httpd.inbox.webhook import Webhook, parse_keys, signature

from .exchange import serving

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ABOUT = Submission("01", "/contact", 1_700_000_000_000_000, "192.0.2.1", "t", [("a", "Grüße\n"), ("a", "2")])
RECORD = Record(ABOUT, [StoredFile("01", 0, "cv", "me.pdf", "application/pdf", 12)])


def delivery(url: str) -> Delivery:
    return Delivery("msg_1", "01", "webhook", url, 1)


def taken(request: Request) -> Response:
    return text("taken")


@contextlib.contextmanager
def receiver(answer: Callable[[Request], Response] = taken) -> Iterator[tuple[str, list[Request]]]:
    """A server of our own at /hook, and the requests that it got."""
    site = Router()
    got: list[Request] = []

    @site.post("/hook")
    def hook(request: Request) -> Response:
        got.append(request)
        return answer(request)

    with serving(site) as server:
        yield f"{server.url}hook", got


def test_what_is_posted_is_json_and_signed() -> None:
    with receiver() as (url, got):
        Webhook([KEY], clock=lambda: 1_700_000_123.9)(delivery(url + "?for=me"), RECORD)
    [request] = got
    assert request.query == "for=me"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "type": "form.submitted",
        "timestamp": "2023-11-14T22:13:20.000000Z",
        "data": RECORD.as_object(),
    }
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["webhook-timestamp"] == "1700000123"
    signed = b"msg_1.1700000123." + request.body
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_the_specification() -> None:
    """Its published example."""
    [key] = parse_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    content = b'{"test": 2432232314}'
    identity = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signature(key, identity, "1614265330", content) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_changed_both_sign() -> None:
    other = bytes(range(1, 33))
    keys = parse_keys(f"{SECRET} whsec_{base64.b64encode(other).decode()}")
    assert keys == [KEY, other]
    with receiver() as (url, got):
        Webhook(keys)(delivery(url), RECORD)
    stamp = got[0].headers["webhook-timestamp"]
    said = got[0].headers["webhook-signature"].split(" ")
    assert said == [signature(key, "msg_1", stamp, got[0].body) for key in keys]


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_AAAA", "whsec_not base64!", f"{SECRET} x"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_keys(secret)
    assert "hunter2" not in str(refused.value)
    assert "secret" in str(refused.value)


@pytest.mark.parametrize("url", ["https://example.org/hook", "http://127.0.0.1:8080", "http://[::1]:9/x?y=%20z"])
def test_urls_of_webhooks(url: str) -> None:
    assert webhook_target(url) == Target("webhook", url)


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://example.org", "https://", "http://a:99999/", "http://a/ b", "http://a/\r\nX: y",
     "http://me:secret@example.org/", "http://ü.example/", "http://[::1"],
)  # fmt: skip
def test_what_is_no_url_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        webhook_target(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_success_is_one(status: int) -> None:
    with receiver(lambda request: Response(b"", status)) as (url, got):
        Webhook([KEY])(delivery(url), RECORD)
    assert len(got) == 1


@pytest.mark.parametrize(("status", "wait"), [(400, 0), (404, 0), (500, 0), (503, 120), (429, 120)])
def test_other_answers_are_failures(status: int, wait: int) -> None:
    def answer(request: Request) -> Response:
        raise HTTPError(status, headers=[("Retry-After", "120")] if wait else [])

    with receiver(answer) as (url, _), pytest.raises(Failed, match=f"answered {status}$") as failed:
        Webhook([KEY])(delivery(url), RECORD)
    assert failed.value.retry_after == wait


@pytest.mark.parametrize(("said", "wait"), [("9999999", 86_400), ("99999999999999999", 0), ("soon", 0), ("-1", 0)])
def test_a_retry_after_is_heeded_within_reason(said: str, wait: int) -> None:
    answer = Response(b"", 503, [("Retry-After", said)])
    with receiver(lambda request: answer) as (url, _), pytest.raises(Failed) as failed:
        Webhook([KEY])(delivery(url), RECORD)
    assert failed.value.retry_after == wait


def test_gone_is_for_good() -> None:
    with receiver(lambda request: Response(b"", 410)) as (url, _), pytest.raises(GivenUp, match="410"):
        Webhook([KEY])(delivery(url), RECORD)


def test_a_redirect_is_not_followed() -> None:
    with receiver() as (elsewhere, got):
        there = redirect(elsewhere, 307)
        with (
            receiver(lambda request: there) as (url, _),
            pytest.raises(Failed, match="307: redirects are not followed"),
        ):
            Webhook([KEY])(delivery(url), RECORD)
        assert got == []


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Failed, match="Connection refused"):
        Webhook([KEY])(delivery(f"http://127.0.0.1:{port}/hook"), RECORD)


@contextlib.contextmanager
def strange(talk: Callable[[socket.socket, threading.Event], None], waits: bool = True) -> Iterator[str]:
    """A server of one connection that behaves as it likes, until the event; with `waits` it is asked first."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as sock:
                if waits:
                    sock.recv(65_536)
                talk(sock, over)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        over.set()
        thread.join()


def test_who_says_nothing_is_not_waited_for() -> None:
    with strange(lambda sock, over: bool(over.wait(30)) and None) as url, pytest.raises(Failed, match="timed out"):
        Webhook([KEY], step=0.1)(delivery(url), RECORD)


def test_who_says_a_byte_now_and_then_is_cut() -> None:
    def drip(sock: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.05):
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with strange(drip) as url, pytest.raises(Failed, match="longer than"):
        Webhook([KEY], step=10, whole=0.3)(delivery(url), RECORD)


def test_an_endless_answer_is_not_read() -> None:
    def flood(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.is_set():
            sock.sendall(b"x" * 65_536)

    with strange(flood) as url:
        Webhook([KEY], whole=20)(delivery(url), RECORD)


@pytest.mark.parametrize("said", [b"SSH-2.0-x\0\x1b\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"X" * 70_000])
def test_what_is_no_http_is_a_failure(said: bytes) -> None:
    with strange(lambda sock, over: sock.sendall(said)) as url, pytest.raises(Unreached) as failed:
        Webhook([KEY])(delivery(url), RECORD)
    assert "\0" not in str(failed.value), "no database takes it"


def test_a_certificate_that_nobody_vouches_for_is_a_failure() -> None:
    pytest.importorskip("cryptography")
    from httpd import certificates

    site = Router()
    own = certificates.self_signed(["127.0.0.1"]).context
    with serving(site, tls=own) as server, pytest.raises(Failed, match="certificate"):
        Webhook([KEY])(delivery(f"https://127.0.0.1:{server.port}/hook"), RECORD)
