"""What is counted, and how it is told to Prometheus: rightly, and never in a series that a client chose."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from httpd import Limits, Request, Response, Server, text
from httpd.net import wake
from httpd.seeing.metrics import add_metrics
from httpd.seeing.places import Desk
from httpd.seeing.pulse import quantile
from httpd.seeing.tallies import BUCKETS, RULES

from .exchange import get, post, serving, talk
from .live import LiveServer
from .refusals import FAULTS
from .tools import needs_module

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def site(request: Request) -> Response:
    if request.path == "/fails":
        raise RuntimeError("no")
    return text("hello")


def in_loop(server: Server, call: Any) -> Any:
    """What a call gives that is made in the server's own thread."""
    done, given = threading.Event(), []

    def make() -> None:
        given.append(call())
        done.set()

    wake.call(make, map=server.map)
    assert done.wait(10)
    return given[0]


class Measured:
    """A server whose numbers are at a port of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.desk = Desk({add_metrics: 0})
        self.port = self.desk.listen()[0]
        in_loop(server, lambda: self.desk.attach(server))

    def ask(self, **fields: str) -> str:
        lines = {name.replace("_", "-"): value for name, value in fields.items()}
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(urllib.request.Request(url, headers=lines), timeout=10) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    def samples(self) -> Samples:
        return read(self.ask())

    def number(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]


def read(answer: str) -> Samples:
    """What Prometheus's own reader makes of it, each sample once."""
    samples: Samples = {}
    for family in text_string_to_metric_families(answer):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples
            samples[key] = sample.value
    return samples


@contextlib.contextmanager
def measured(**options: Any) -> Iterator[Measured]:
    with serving(site, **options) as server:
        yield Measured(server)


def closing(path: str, *fields: str, method: str = "GET") -> bytes:
    return get(path, "Connection: close", *fields, method=method)


# ---- right


def test_answers_are_counted() -> None:
    with measured() as server:
        for data in (closing("/"), closing("/", method="HEAD"), closing("/fails"), post(b"abc", "Connection: close")):
            talk(server.server, data)
        talk(server.server, b"nonsense\r\n\r\n")
        told = server.samples()
    assert told["httpd_requests_total", frozenset({("method", "GET"), ("code", "2xx")})] == 1
    assert told["httpd_requests_total", frozenset({("method", "HEAD"), ("code", "2xx")})] == 1
    assert told["httpd_requests_total", frozenset({("method", "POST"), ("code", "2xx")})] == 1
    assert told["httpd_requests_total", frozenset({("method", "GET"), ("code", "5xx")})] == 1
    assert told["httpd_requests_total", frozenset({("method", "other"), ("code", "4xx")})] == 1
    assert told["httpd_handler_failures_total", frozenset()] == 1
    assert told["httpd_request_content_bytes_total", frozenset()] == 3
    assert told["httpd_response_content_bytes_total", frozenset()] >= 10
    assert told["httpd_refusals_total", frozenset({("rule", "RFC 9112 §3")})] == 1
    assert told["httpd_connections_accepted_total", frozenset()] == 5
    assert told["httpd_request_duration_seconds_count", frozenset()] == 5
    assert told["httpd_request_duration_seconds_bucket", frozenset({("le", "+Inf")})] == 5
    assert 0 < told["httpd_request_duration_seconds_sum", frozenset()] < 10
    assert told["httpd_workers", frozenset()] == 1
    assert told["process_resident_memory_bytes", frozenset({("worker", "0")})] > 1 << 20
    assert told["process_open_fds", frozenset({("worker", "0")})] > 3
    assert told["process_cpu_seconds_total", frozenset({("worker", "0")})] > 0


def test_connections_are_there_by_what_they_do() -> None:
    with measured() as server:
        with (
            socket.create_connection(("127.0.0.1", server.server.port)) as idle,
            socket.create_connection(("127.0.0.1", server.server.port)) as sending,
        ):
            idle.sendall(get())
            assert idle.recv(1)
            sending.sendall(post(b"abc")[:-1])
            while server.number("httpd_connections", state="read body") != 1:
                pass
            assert server.number("httpd_connections", state="idle") == 1
        while server.number("httpd_connections", state="idle"):
            pass


def test_waits_that_were_too_long_are_counted_by_their_limit() -> None:
    limits = Limits(header_time=0.05, body_time=0.05, idle_time=0.05)
    with measured(limits=limits) as server:
        for data in (b"GET / HTTP/1.1\r\n", post(b"abc")[:-1], b""):
            talk(server.server, data)
        told = server.samples()
    for limit in ("header_time", "body_time", "idle_time"):
        assert told["httpd_timeouts_total", frozenset({("limit", limit)})] == 1
    assert told["httpd_timeouts_total", frozenset({("limit", "stall_time")})] == 0


def test_a_handshake_that_takes_too_long_is_counted() -> None:
    needs_module("cryptography")
    from httpd import certificates

    tls = certificates.self_signed(["127.0.0.1"]).context
    with measured(tls=tls, limits=Limits(handshake_time=0.05)) as server:
        talk(server.server, b"\x16\x03\x01")
        assert server.number("httpd_timeouts_total", limit="handshake_time") == 1


def test_connections_too_many_are_counted() -> None:
    with measured(limits=Limits(connections=1)) as server:
        with socket.create_connection(("127.0.0.1", server.server.port)) as first:
            first.sendall(get())
            assert first.recv(1)
            assert talk(server.server, get()).startswith(b"HTTP/1.0 503")
        assert server.number("httpd_connections_turned_away_total") == 1


def test_what_waits_for_the_sites_store() -> None:
    class Stores:
        def __call__(self, request: Request) -> Response:
            return text("hello")

        def waiting_for_store(self) -> int:
            return 3

    with serving(Stores()) as server:
        assert Measured(server).number("httpd_store_queue") == 3
    with measured() as without:
        assert without.number("httpd_store_queue") == 0


def test_more_answers_than_are_counted_together() -> None:
    with measured() as server:
        talk(server.server, get() * 1_234 + closing("/"))
        assert server.number("httpd_requests_total", method="GET", code="2xx") == 1_235
        assert server.number("httpd_request_duration_seconds_count") == 1_235


def test_how_long_a_part_of_the_answers_took() -> None:
    def reached(*numbers: int) -> list[float]:
        return [float(number) for number in numbers] + [float(numbers[-1])] * (len(BUCKETS) - len(numbers))

    assert quantile(reached(0), 0.5) == 0
    assert quantile(reached(10), 0.5) == BUCKETS[0] / 2
    assert quantile(reached(0, 0, 10), 1) == BUCKETS[2]
    assert quantile([0.0] * (len(BUCKETS) - 1) + [3.0], 0.5) == BUCKETS[-2]


# ---- as Prometheus reads it


def test_both_forms_are_read_by_the_makers_of_them() -> None:
    with measured() as server:
        talk(server.server, closing("/"))
        plain = server.samples()
        newer = server.ask(Accept="application/openmetrics-text; version=1.0.0")
        families = list(parse_openmetrics(newer))
    assert newer.endswith("# EOF\n")
    assert {sample.name for family in families for sample in family.samples} == {name for name, _ in plain}


def test_every_family_says_what_it_is() -> None:
    with measured() as server:
        families = list(text_string_to_metric_families(server.ask()))
    assert all(family.documentation and family.type != "unknown" for family in families)


def test_every_rule_that_refuses_has_its_own_label() -> None:
    assert {fault.rule for group in FAULTS for fault in group.faults} - set(RULES) == set()


# ---- hostile


HOSTILE = [
    *(closing("/", method=f"X{number}") for number in range(50)),
    *(closing(f"/{number}", f"Host: {number}.example") for number in range(50)),
    *(closing("/", f"User-Agent: {number}", "X-Forwarded-For: 192.0.2.9") for number in range(20)),
    b'G{method="x"} 1\r\n\r\n',
    b'GET /"} 1\n# HELP forged x\nforged 1 HTTP/1.1\r\nHost: a\r\n\r\n',
    closing("/", method="get"),
    closing("/", method="other"),
    b"\xff\xfe\x00\r\n\r\n",
    closing("/?le=0.5&worker=9"),
]


def test_nothing_that_a_client_sends_makes_another_series() -> None:
    with measured() as server:
        before = set(server.samples())
        for data in HOSTILE:
            talk(server.server, data)
        told = server.samples()
    assert set(told) == before
    assert sum(value for (name, _), value in told.items() if name == "httpd_requests_total") == len(HOSTILE)


# ---- who may see it


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 200), ({"Host": "example.org"}, 421), ({"Origin": "http://example.org"}, 403)],
)
def test_a_page_of_another_name_or_origin_learns_nothing(fields: dict[str, str], status: int) -> None:
    with measured() as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=10) as answer:
                assert answer.status == status
        except urllib.error.HTTPError as error:
            with error:
                assert error.code == status
                assert b"httpd_requests" not in error.read()


def test_it_is_not_at_the_sites_own_port() -> None:
    with measured() as server:
        assert b"httpd_requests" not in talk(server.server, closing("/metrics"))


def asked(url: str, user: str = "") -> tuple[int, bytes]:
    import base64

    lines = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=lines), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.programs
def test_at_a_path_of_the_site_it_asks_for_a_password(tmp_path: Path, users: Path) -> None:
    with LiveServer(tmp_path / "site", "--metrics=/numbers", "--auth", f"/numbers={users}") as live:
        assert asked(live.url + "numbers")[0] == 401
        assert asked(live.url + "numbers", "alice:wrong")[0] == 401
        status, content = asked(live.url + "numbers", "alice:secret")
        assert status == 200
        assert read(content.decode())["httpd_workers", frozenset()] == 1
        assert asked(live.url, "alice:secret")[0] == 200


@pytest.mark.programs
@pytest.mark.parametrize("auth", [[], ["--auth", "/numbersome=FILE"], ["--auth", "/numbers/below=FILE"]])
def test_a_path_without_a_password_is_refused_at_the_start(auth: list[str], tmp_path: Path, users: Path) -> None:
    options = [word.replace("FILE", str(users)) for word in auth]
    with pytest.raises(RuntimeError) as caught, LiveServer(tmp_path / "site", "--metrics=/numbers", *options):
        pass
    assert "would be there for everybody; ask for a password with --auth /numbers=FILE" in str(caught.value)


def test_within_a_site_that_asks_for_no_password_it_shows_nothing() -> None:
    with serving(site) as server:
        desk = Desk({add_metrics: "/numbers"})
        server.service.site = desk.around(server.service.site)
        in_loop(server, lambda: desk.attach(server))
        answer = talk(server, closing("/numbers"))
        assert answer.startswith(b"HTTP/1.0 403")
        assert talk(server, closing("/other")).endswith(b"hello")


@pytest.mark.programs
def test_the_option_alone(tmp_path: Path) -> None:
    with LiveServer(tmp_path, "--metrics") as live:
        assert live.wait_for("the metrics are at http://127.0.0.1:")
        url = live.log.partition("the metrics are at ")[2].split()[0]
        assert asked(url)[0] == 200


@pytest.mark.programs
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError) as caught, LiveServer(tmp_path, f"--metrics={port}"):
            pass
    assert f"--metrics: no port {port}: " in str(caught.value)


# ---- with workers


def workers_of(url: str) -> set[int]:
    """The processes that a status page tells of."""
    return set(map(int, re.findall(r"<tr[^>]*><td>(\d+)</td>", asked(url)[1].decode())))


@pytest.mark.programs
def test_numbers_are_those_of_all_workers_and_outlive_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with LiveServer(tmp_path, "--workers", "2", "--metrics=0", "--status=0", "--access-log", "off") as live:
        assert live.wait_for("the metrics are at ")
        url = live.log.partition("the status page is at ")[2].split()[0]

        def answers() -> float:
            told = read(asked(url + "metrics")[1].decode())
            return told["httpd_requests_total", frozenset({("method", "GET"), ("code", "2xx")})]

        for _ in range(40):
            assert asked(live.url + "a.txt")[0] == 200
        # A worker's last second is on the board a second later.
        assert once(lambda: answers() == 40)
        pids = workers_of(url)
        assert len(pids) == 2
        os.kill(min(pids), signal.SIGKILL)
        assert once(lambda: len(now := workers_of(url)) == 2 and now != pids)
        assert answers() == 40
        for _ in range(10):
            assert asked(live.url + "a.txt")[0] == 200
        assert once(lambda: answers() == 50)
        before = workers_of(url)
        os.kill(live.pid, signal.SIGHUP)
        assert once(lambda: before.isdisjoint(workers_of(url)))
        assert answers() == 50


def once(is_so: Callable[[], bool]) -> bool:
    """Whether it comes to be so in a while; a connection may meet a worker's end."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if is_so():
                return True
        time.sleep(0.05)
    return False
