"""A submission as a signed POST of JSON, by the Standard Webhooks specification.

Who receives it computes the same HMAC over `webhook-id`, `webhook-timestamp` and the content, and so knows who sent it;
an old timestamp is a replay, and an id that was there before is the same submission once more: a delivery keeps its id
through all its attempts.

The URL is the owner's word, no stranger's, so it may lead to a private address.  What an answer says leads nowhere: a
redirect is not followed, and beyond its head nothing is read of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import ssl
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from urllib.parse import urlsplit

from .deliveries import Delivery
from .moments import moment
from .records import Record
from .sending import ALL, STEP, Failed, GivenUp, Unreached, bounded, described

__all__ = ["Webhook", "content", "parse_keys", "signature"]

_KEY_PREFIX = "whsec_"
# The lengths of a key in bytes, as the specification has them.
_KEY_LENGTHS = range(24, 65)
# How long a Retry-After is heeded at the most, in seconds.
_MOST_RETRY_AFTER = 24 * 3600


def parse_keys(text: str) -> list[bytes]:
    """The keys in a secret, `whsec_` and base64 (several with blanks between them: all of them sign).

    Raises ValueError, its text a sentence without the secret.
    """
    keys = []
    for word in text.split():
        try:
            if not word.startswith(_KEY_PREFIX):
                raise ValueError
            key = binascii.a2b_base64(word.removeprefix(_KEY_PREFIX), strict_mode=True)
            if len(key) not in _KEY_LENGTHS:
                raise ValueError
        except ValueError:
            raise ValueError("a webhook's secret is whsec_ and 24 to 64 random bytes in base64") from None
        keys.append(key)
    if not keys:
        raise ValueError("a webhook needs a secret to be signed with")
    return keys


def signature(key: bytes, identity: str, timestamp: str, content: bytes) -> str:
    """What stands in `webhook-signature` for one key."""
    signed = b".".join([identity.encode(), timestamp.encode(), content])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Webhook:
    """Sends by HTTP.  `clock` is in seconds since 1970; the `step` and `whole` times bound the conversation."""

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        clock: Callable[[], float] = time.time,
        step: float = STEP,
        whole: float = ALL,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._step = step
        self._whole = whole

    def __call__(self, delivery: Delivery, record: Record) -> None:
        """POST it.  Raises Failed, and GivenUp where the receiver says that it is gone for good."""
        connection = self._connection(delivery.target)
        try:
            with (
                bounded(lambda: connection.sock, self._whole),
                self._post(connection, delivery, content(record)) as answer,
            ):
                status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except Failed:
            raise
        except (OSError, http.client.HTTPException) as why:
            raise Unreached(described(why)) from why
        finally:
            connection.close()
        _judge(status, retry_after)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # To read what the system trusts takes longer than all the rest.
        return ssl.create_default_context()

    def _connection(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port, timeout=self._step, context=self._tls)
        return http.client.HTTPConnection(host, parts.port, timeout=self._step)

    def _post(
        self, connection: http.client.HTTPConnection, delivery: Delivery, body: bytes
    ) -> http.client.HTTPResponse:
        parts = urlsplit(delivery.target)
        timestamp = str(int(self._clock()))
        signatures = [signature(key, delivery.id, timestamp, body) for key in self._keys]
        connection.request(
            "POST",
            (parts.path or "/") + (parts.query and f"?{parts.query}"),
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "asynchat-httpd",
                "Connection": "close",
                "webhook-id": delivery.id,
                "webhook-timestamp": timestamp,
                "webhook-signature": " ".join(signatures),
            },
        )
        return connection.getresponse()


def content(record: Record) -> bytes:
    """What is posted: the same at every attempt."""
    told = {"type": "form.submitted", "timestamp": moment(record.submission.received), "data": record.as_object()}
    return json.dumps(told).encode("ascii")


def _judge(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise GivenUp("the receiver answered 410: it wants no more")
    if 300 <= status < 400:
        raise Failed(f"the receiver answered {status}: redirects are not followed")
    wait = int(retry_after) if retry_after.isdecimal() and len(retry_after) < 10 else 0
    raise Failed(f"the receiver answered {status}", min(wait, _MOST_RETRY_AFTER))
