"""The numbers on the board as Prometheus reads them, written by its own package.

Every label has a value of ours out of a short list, so nothing that a client sends makes another series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from ..protocol.message import Request, Response
from ..site.router import Router
from .pulse import Pulse
from .tallies import BUCKETS, CLASSES, LIMITS, METHODS, PLACES, RULES, STATES

__all__ = ["Metrics", "add_metrics"]

# Of one worker: (name, what it is, its place, whether it only grows).
_OF_WORKERS = (
    ("process_start_time_seconds", "When the worker began, in seconds since 1970.", "began", False),
    ("process_cpu_seconds", "Processor time of the worker and of those that had its place before.", "processor", True),
    ("process_resident_memory_bytes", "Memory that the worker holds.", "memory", False),
    ("process_open_fds", "Descriptors that the worker has open.", "descriptors", False),
    ("httpd_draining", "Whether the worker only finishes what it has begun.", "draining", False),
    ("httpd_loop_lag_seconds", "How late the worker's loop came to its last timer.", "lag", False),
)


def add_metrics(site: Router, base: str, pulse: Pulse) -> None:
    """Have the numbers at a path, /metrics unless it is given."""
    metrics = Metrics(pulse)

    @site.get(base or "/metrics")
    def numbers(request: Request) -> Response:
        return metrics.response(request.headers.get("accept"))


class Metrics:
    """The numbers, as they are when they are asked for."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def response(self, accept: str) -> Response:
        """All numbers, in the form that somebody accepts."""
        encode, content_type = choose_encoder(accept)
        content = encode(self._registry)
        return Response(content, 200, [("Cache-Control", "no-store")], content_type=content_type)

    def collect(self) -> Iterable[Metric]:
        """All families, as prometheus-client asks for them."""
        self._pulse.write()
        board = self._pulse.tallies.board
        sums = board.sums()
        living = list(board.living())
        now = [sum(numbers) for numbers in zip(*(slot for _, slot in living), strict=True)]
        yield from _answers(sums)
        yield from _connections(sums, now)
        yield from _faults(sums)
        yield from _workers(living, now)


def _answers(sums: Sequence[float]) -> Iterable[Metric]:
    requests = CounterMetricFamily("httpd_requests", "Requests answered.", labels=["method", "code"])
    for method in METHODS:
        for kind in CLASSES:
            requests.add_metric([method, kind], sums[PLACES["requests", method, kind]])
    yield requests
    took = HistogramMetricFamily(
        "httpd_request_duration_seconds", "From a request's first byte to the last byte of its answer."
    )
    reached = list(accumulate(sums[PLACES["took", bound]] for bound in BUCKETS))
    bounds = [f"{bound:g}" if bound < float("inf") else "+Inf" for bound in BUCKETS]
    took.add_metric([], list(zip(bounds, reached, strict=True)), sums[PLACES["seconds"]])
    yield took
    yield _counter("httpd_response_content_bytes", "Bytes of content sent.", sums[PLACES["sent"]])
    yield _counter("httpd_request_content_bytes", "Bytes of content that requests announced.", sums[PLACES["received"]])


def _connections(sums: Sequence[float], now: Sequence[float]) -> Iterable[Metric]:
    yield _by(
        GaugeMetricFamily("httpd_connections", "Connections that there are.", labels=["state"]),
        [(state, now[PLACES["state", state]]) for state in STATES],
    )
    yield _counter("httpd_connections_accepted", "Connections accepted.", sums[PLACES["accepted"]])
    told = "Connections turned away, as there were too many."
    yield _counter("httpd_connections_turned_away", told, sums[PLACES["turned away"]])


def _faults(sums: Sequence[float]) -> Iterable[Metric]:
    yield _by(
        CounterMetricFamily("httpd_refusals", "What was no request, by the rule it broke.", labels=["rule"]),
        [(rule, sums[PLACES["refused", rule]]) for rule in RULES],
    )
    yield _by(
        CounterMetricFamily("httpd_timeouts", "Connections given up, by the limit they passed.", labels=["limit"]),
        [(limit, sums[PLACES["timed out", limit]]) for limit in LIMITS],
    )
    yield _counter("httpd_handler_failures", "Requests that the site failed to answer.", sums[PLACES["failed"]])
    told = "Times that no connection could be accepted."
    yield _counter("httpd_accept_failures", told, sums[PLACES["accept failures"]])


def _workers(living: Sequence[tuple[int, Any]], now: Sequence[float]) -> Iterable[Metric]:
    yield GaugeMetricFamily("httpd_workers", "Processes that serve.", len(living))
    told = "Requests that wait for a thread, or have one."
    yield GaugeMetricFamily("httpd_pool_requests", told, now[PLACES["pool"]])
    told = "Pieces of work that wait to be written to the store, if the site has one."
    yield GaugeMetricFamily("httpd_store_queue", told, now[PLACES["store"]])
    for name, what, place, grows in _OF_WORKERS:
        family = (CounterMetricFamily if grows else GaugeMetricFamily)(name, what, labels=["worker"])
        yield _by(family, [(str(number), slot[PLACES[place]]) for number, slot in living])


def _counter(name: str, what: str, number: float) -> Metric:
    return CounterMetricFamily(name, what, number)


def _by(family: Any, numbers: Iterable[tuple[str, float]]) -> Metric:
    for label, number in numbers:
        family.add_metric([label], number)
    return family  # type: ignore[no-any-return]
