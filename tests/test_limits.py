"""The limits: each has its reason, none is tighter than the RFCs ask for, and a person can set every one."""

from __future__ import annotations

import pytest

from httpd import Limits
from httpd.server.limits import describe_limits, read_limits

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
