"""The figures as one HTML page: tables, and a plot for each workload."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from .curves import Curve
from .measure import Run
from .peers import REFERENCES
from .report import Row, headings, rows_of, verdict
from .workloads import WORKLOADS, Workload

# The plot's room for bars, and where its longest may end: in pixels of the picture.
_WIDTH = 520
_BAR = 22


def write_page(
    path: Path,
    told: list[str],
    runs: Iterable[Run] = (),
    footprint: dict[str, dict[str, str]] | None = None,
    curves: Iterable[Curve] = (),
) -> None:
    """Write the page: `told` is the machine and the servers, a line each."""
    runs = list(runs)
    names = dict.fromkeys(run.workload for run in runs)
    workloads = [_workload(WORKLOADS[name], [run for run in runs if run.workload == name]) for name in names]
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("figures.html").render(
        told=told, workloads=workloads, footprint=footprint or {}, curves=[curve.plot() for curve in curves]
    )
    path.write_text(page, encoding="utf-8")


def _workload(workload: Workload, runs: list[Run]) -> dict[str, Any]:
    reference = REFERENCES[workload.kind]
    rows = rows_of(runs, reference)
    most = max(row.cpu for row in rows) or 1
    return {
        "title": workload.title,
        "headings": headings(reference),
        "rows": [row.cells() for row in rows],
        "verdict": verdict(workload, rows, reference),
        "height": _BAR * len(rows),
        "bars": [_bar(row, number, most) for number, row in enumerate(rows)],
    }


def _bar(row: Row, number: int, most: float) -> dict[str, Any]:
    return {
        "name": row.peer,
        "ours": row.peer.startswith("httpd"),
        "y": number * _BAR,
        "width": round(_WIDTH * row.cpu / most, 1),
        "told": f"{row.cpu:,.1f} µs",
    }
