"""The limits: each has its reason, none is tighter than the RFCs ask for, and a person can set every one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from httpd import Limits, Response
from httpd.server.handler import State
from httpd.server.limits import describe_limits, read_limits

from .exchange import GET, Exchange, get
from .test_tls import Conversation
from .tools import TOP

LIMITS = {name: (default, why) for name, default, why in describe_limits()}


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_has_its_sentence(name: str) -> None:
    default, why = LIMITS[name]
    assert why[0].isupper()
    assert why.endswith(".")
    assert len(why) > 20
    assert float(default) == getattr(Limits(), name.replace("-", "_"))


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_is_positive_and_can_be_set(name: str) -> None:
    attribute = name.replace("-", "_")
    assert getattr(Limits(), attribute) > 0
    assert getattr(Limits(**{attribute: 7}), attribute) == 7  # type: ignore[arg-type]
    assert getattr(read_limits([f"{name}=7"]), attribute) == 7


def test_a_limit_is_set_once_and_is_known() -> None:
    limits = Limits()
    with pytest.raises(AttributeError):
        limits.head = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Limits(heads=1)  # type: ignore[call-arg]


def test_the_defaults_are_as_wide_as_the_rfcs_ask_for() -> None:
    # RFC 9112 §3: at least 8,000 octets of request-line.
    assert 8_000 <= Limits().request_line <= Limits().head


def test_a_limit_for_each_thing_a_client_can_use_up() -> None:
    sizes = {"request-line", "head", "fields", "body"}
    times = {"header-time", "body-time", "body-rate", "idle-time", "stall-time", "stall-rate", "linger-time"}
    numbers = {"requests", "connections", "connections-per-address"}
    assert sizes | times | numbers <= set(LIMITS)


def test_one_client_cannot_take_every_slot() -> None:
    assert Limits().connections_per_address < Limits().connections


# ---- each is in force


def answered(exchange: Exchange) -> list[int]:
    """The statuses of its answers."""
    return [answer.status for answer in exchange.answers()]


def asked(*pieces: bytes) -> Callable[[Limits], object]:
    """What these requests are answered."""
    return lambda limits: answered(Exchange(pieces, limits=limits))


def silent(*pieces: bytes, seconds: float, room: int | None = None) -> Callable[[Limits], object]:
    """Whether the connection stands after so many seconds in which nothing comes, and nothing is taken."""

    def run(limits: Limits) -> bool:
        exchange = Exchange(pieces, lambda request: Response(bytes(100_000)), limits=limits, room=room)
        return exchange.wait(seconds, step=0.5).state not in (State.LINGER, State.CLOSED)

    return run


def sent_slowly(limits: Limits) -> bool:
    """Whether the connection stands while 1,000 bytes of content come each second."""
    exchange = Exchange([get("/", "Content-Length: 90000", method="POST")], limits=limits)
    for _ in range(50):
        exchange.feed(bytes(1_000)).wait(1)
    return exchange.state is State.READ_BODY


def taken_slowly(limits: Limits) -> bool:
    """Whether the connection stands while 1,000 bytes of the answer are taken each second."""
    exchange = Exchange([GET], lambda request: Response(bytes(90_000)), limits=limits, room=0)
    for _ in range(50):
        exchange.take(1_000).wait(1)
    return exchange.state is State.SEND_RESPONSE


def lingers(limits: Limits) -> bool:
    """Whether it still listens after a refusal, five seconds in which bytes came."""
    exchange = Exchange([b"(\r\n\r\n"], limits=limits)
    for _ in range(5):
        exchange.feed(b"x").wait(1)
    return exchange.state is State.LINGER


def shakes(limits: Limits) -> bool:
    """Whether it waits for a TLS handshake after five seconds."""
    return not Conversation(shakes=False, limits=limits).wait(5).closed


def read_at_once(limits: Limits) -> int:
    """How many bytes are asked for."""
    return max(Exchange([GET], limits=limits).sock.asked)


CONTENT = get("/", "Content-Length: 1000", method="POST")
# Limit → (what shows it, a value, what is seen then, what is seen by default).
IN_FORCE: dict[str, tuple[Callable[[Limits], object], float, object, object]] = {
    "request_line": (asked(get("/" + "a" * 50)), 60, [414], [200]),
    "head": (asked(get("/", "A: " + "b" * 100)), 100, [431], [200]),
    "fields": (asked(get("/", "A: b", "C: d")), 2, [431], [200]),
    "body": (asked(CONTENT + bytes(1_000)), 999, [413], [200]),
    "piece": (read_at_once, 7, 7, 16_384),
    "handshake_time": (shakes, 4, False, True),
    "header_time": (silent(b"GET", seconds=5), 4, False, True),
    "body_time": (silent(CONTENT, seconds=5), 4, False, True),
    "body_rate": (sent_slowly, 2_000, False, True),
    "idle_time": (silent(seconds=5), 4, False, True),
    "stall_time": (silent(GET, seconds=10, room=5), 4, False, True),
    "stall_rate": (taken_slowly, 2_000, False, True),
    "linger_pause": (lingers, 0.5, False, True),
    "linger_time": (lingers, 4, False, True),
    "requests": (asked(GET * 3), 2, [200, 200], [200, 200, 200]),
}
# What shows only in a whole server, and where that is seen.
IN_A_SERVER = {
    "drain_time": "test_server.py", "reuse_time": "test_server.py", "hang_time": "test_processes.py",
    "connections": "test_refusals.py", "connections_per_address": "test_refusals.py", "threads": "test_blocking.py",
    "waiting": "test_blocking.py",
}  # fmt: skip


@pytest.mark.parametrize("name", IN_FORCE)
def test_a_limit_is_in_force(name: str) -> None:
    seen_by, value, then, by_default = IN_FORCE[name]
    assert seen_by(Limits()) == by_default
    assert seen_by(Limits(**{name: value})) == then  # type: ignore[arg-type]


def test_every_limit_is_seen_to_be_in_force() -> None:
    assert IN_FORCE.keys() | IN_A_SERVER.keys() == set(Limits._fields)
    for name, where in IN_A_SERVER.items():
        text = (TOP / "tests" / where).read_text()
        assert re.search(rf"{name}=|{name.replace('_', '-')}=|\"{name}\"", text), f"{where} does not set {name}"


# ---- as a person writes them


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("body=100", "body", 100),
        ("body=1K", "body", 1_024),
        ("body=1k", "body", 1_024),
        ("body=1.5M", "body", 1_572_864),
        ("body = 2G", "body", 2_147_483_648),
        ("idle-time=0.5", "idle_time", 0.5),
        ("idle_time=30", "idle_time", 30),
        ("connections-per-address=10", "connections_per_address", 10),
    ],
)
def test_a_setting(setting: str, name: str, value: float) -> None:
    assert getattr(read_limits([setting]), name) == value


def test_settings_add_up_and_the_last_of_one_name_holds() -> None:
    limits = read_limits(["head=1K", "body=5", "head=2K"], Limits(fields=3))
    assert (limits.head, limits.body, limits.fields) == (2_048, 5, 3)
    assert read_limits([]) == Limits()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("body", "'body' is not NAME=VALUE"),
        ("", "'' is not NAME=VALUE"),
        ("bodi=1", "there is no limit 'bodi'; did you mean body?"),
        ("zzzz=1", "there is no limit 'zzzz'; there are request-line, head"),
        ("=1", "there is no limit ''"),
        ("body=", "body takes a positive number"),
        ("body=0", "body takes a positive number"),
        ("body=-1", "body takes a positive number"),
        ("body=1T", "body takes a positive number"),
        ("body=0x10", "body takes a positive number"),
        ("body=nan", "body takes a positive number"),
        ("body=inf", "body takes a positive number"),
        ("idle-time=" + "9" * 400, "idle-time takes a positive number"),
        ("requests=1.5", "requests takes a whole number"),
        ("body=" + "9" * 400, "body takes a"),
    ],
)
def test_a_setting_that_is_none(setting: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_limits([setting])
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
