"""What a client's hello offers of protocols (ALPN), read before the TLS engine answers it.

The engine leaves the choice to a list, and goes on without a protocol where the list and the offer have none in common.
A server is to refuse then (RFC 7301 §3.2): who offers only what is not spoken here would speak it all the same.
"""

from __future__ import annotations

__all__ = ["INTERNAL_ERROR", "NO_APPLICATION_PROTOCOL", "fatal_alert", "offered_protocols"]

# Content types and lengths of a record (RFC 8446 §5.1), the handshake's first message (§4), and the extension's number
# (RFC 7301 §3.1).
_ALERT, _HANDSHAKE, _RECORD_HEAD = 21, 22, 5
_CLIENT_HELLO, _MESSAGE_HEAD = 1, 4
_ALPN = 16
# A hello's longest, as the engine has it.
_LONGEST = 1 << 17

# Alerts (RFC 8446 §6.2): something that is not the peer's fault; none of its protocols is spoken here.
INTERNAL_ERROR, NO_APPLICATION_PROTOCOL = 80, 120


def fatal_alert(description: int) -> bytes:
    """An alert as it is sent before there are keys (RFC 8446 §6): the connection is over, and why."""
    return bytes([_ALERT, 3, 3, 0, 2, 2, description])


def offered_protocols(data: bytes) -> list[bytes] | None:
    """The protocols that a connection's first bytes offer; none where they say nothing of it, or are no hello.

    None: the hello is not whole yet.
    """
    try:
        message = _first_message(data)
        return None if message is None else _alpn(message)
    except (IndexError, ValueError):
        # Whatever is wrong with it, the engine will find, and say in its own way.
        return []


def _first_message(data: bytes) -> bytes | None:
    """The first message of the handshake, which may be in several records; None where it is not whole yet."""
    message, at = b"", 0
    while at + _RECORD_HEAD <= len(data):
        if data[at] != _HANDSHAKE or len(message) > _LONGEST:
            raise ValueError("no handshake")
        end = at + _RECORD_HEAD + int.from_bytes(data[at + 3 : at + 5], "big")
        message += data[at + _RECORD_HEAD : end]
        at = end
        if len(message) >= _MESSAGE_HEAD:
            length = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
            if message[0] != _CLIENT_HELLO:
                raise ValueError("no hello")
            if len(message) >= length:
                return message[:length]
    return None


def _alpn(hello: bytes) -> list[bytes]:
    # legacy_version, random; then legacy_session_id, cipher_suites, legacy_compression_methods (RFC 8446 §4.1.2)
    at = _MESSAGE_HEAD + 2 + 32
    for size in (1, 2, 1):
        at += size + int.from_bytes(hello[at : at + size], "big")
    at += 2
    while at + 4 <= len(hello):
        kind, length = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == _ALPN:
            return _names(hello[at + 6 : at + 4 + length])
        at += 4 + length
    return []


def _names(listed: bytes) -> list[bytes]:
    names, at = [], 0
    while at < len(listed):
        names.append(listed[at + 1 : at + 1 + listed[at]])
        at += 1 + listed[at]
    return names
