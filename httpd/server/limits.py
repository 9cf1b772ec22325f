"""Every limit and timeout of the server, named, each with its reason.

Sizes are in bytes, times in seconds, rates in bytes a second.  A limit that is passed is answered with the status that
its line names.  A person may write `body=10M` or `idle-time=30`; see `read_limits`.
"""

# No `annotations` from __future__: a NamedTuple compiles each one of its own that is text, at every start.

from collections.abc import Iterable
from typing import NamedTuple

from ..nearest import meant

__all__ = ["REASONS", "Limits", "describe_limits", "read_limits"]

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Limits(NamedTuple):
    """What one client may ask of the server; `REASONS` has a sentence for each."""

    # ---- sizes
    request_line: int = 8_192
    head: int = 32_768
    fields: int = 100
    body: int = 1_048_576
    piece: int = 16_384
    # ---- times
    handshake_time: float = 10.0
    header_time: float = 20.0
    body_time: float = 20.0
    body_rate: int = 500
    idle_time: float = 60.0
    stall_time: float = 20.0
    stall_rate: int = 500
    linger_pause: float = 2.0
    linger_time: float = 30.0
    drain_time: float = 10.0
    reuse_time: float = 1.0
    hang_time: float = 60.0
    # ---- numbers
    requests: int = 100_000
    connections: int = 15_000
    connections_per_address: int = 12_000
    threads: int = 8
    waiting: int = 200


# Why there is each limit, and what a client gets that passes it.
REASONS = {
    "request_line": "Longest request-line; RFC 9112 §3 asks for at least 8,000 octets. 414.",
    "head": "Longest head: a browser's with many cookies fits; a flood does not. 431.",
    "fields": "Most field lines in a head: each costs time to parse. 431.",
    "body": "Longest request content, unless a route takes more (`body=`); it is held in memory. 413.",
    "piece": "Most bytes received at once, and so held of the requests that a client sends ahead.",
    "handshake_time": "From the connection to the end of the TLS handshake: two round trips. It just closes.",
    "header_time": "From a head's first byte to its last, in all: a slow head holds a slot. 408.",
    "body_time": "A window for content: in each, it must come at the minimum rate. 408.",
    "body_rate": "Slowest average rate at which content may come, in bytes a second. 408.",
    "idle_time": "How long a kept connection may wait for its next request. It just closes.",
    "stall_time": "A window for an answer: in each, it must be taken at the minimum rate. The connection is cut.",
    "stall_rate": "Slowest average rate at which an answer may be taken, in bytes a second. The connection is cut.",
    "linger_pause": "How long to wait for more after a refusal, so that the client sees it (RFC 9112 §9.6).",
    "linger_time": "How long to read on after a refusal at the most, however much still comes.",
    "drain_time": "How long a stopping server waits for the answers under way.",
    "reuse_time": "How long a kept connection may still send a request when its process makes way for another.",
    "hang_time": "How long a worker's loop may not come round, as in a handler that waits: the worker is killed.",
    "requests": "Most requests on one connection: a bound on what one may grow to.",
    "connections": "Most connections at once. 503.",
    "connections_per_address": "Most at once from one IPv4 address or one IPv6 network of /64: the rest is left to "
    "others. A trusted proxy's own are not counted. 503.",
    "threads": "Most handlers that block at once: each has a thread, also while its client takes what it makes. "
    "Half of them may have one while its client sends what they read.",
    "waiting": "Most requests that wait for one of these threads: the next would wait long. 503.",
}


def read_limits(settings: Iterable[str], base: Limits | None = None) -> Limits:
    """The limits with `NAME=VALUE` settings applied: a name with "-" or "_", a positive number, perhaps with K, M or G.

    Raises ValueError with one sentence that says what to do.
    """
    changes: dict[str, float] = {}
    for setting in settings:
        written, equals, text = setting.partition("=")
        name = written.strip().replace("-", "_")
        if not equals or name not in Limits._fields:
            raise ValueError(_unknown(written) if equals else f"{setting!r} is not NAME=VALUE, such as body=10M")
        changes[name] = _value(name, text.strip())
    return (base or Limits())._replace(**changes)  # type: ignore[arg-type]


def _unknown(written: str) -> str:
    return f"there is no limit {written!r}; {meant(written, [name.replace('_', '-') for name in Limits._fields])}"


def _value(name: str, text: str) -> float:
    written = name.replace("_", "-")
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in _UNITS else (text, "")
    try:
        value = float(number) * _UNITS.get(unit, 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e15:
        raise ValueError(f"{written} takes a positive number, perhaps with K, M or G, not {text!r}")
    if isinstance(Limits._field_defaults[name], float):
        return value
    if value != int(value):
        raise ValueError(f"{written} takes a whole number, not {text!r}")
    return int(value)


def describe_limits() -> Iterable[tuple[str, str, str]]:
    """(name, default, why) of every limit, as a person reads and writes them."""
    for name, default in Limits._field_defaults.items():
        yield name.replace("_", "-"), f"{default:.10g}", REASONS[name]
