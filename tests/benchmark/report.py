"""Figures as text: medians, and ratios paired within a round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .measure import Run
from .workloads import Workload


@dataclass(frozen=True)
class Row:
    """One server at one workload: medians over the rounds, and the rounds' own ratios to the reference and to ours."""

    peer: str
    rate: float
    rates: list[float]
    cpu: float
    costs: list[float]
    to_ours: list[float]
    bad: int

    def cells(self) -> tuple[str, ...]:
        """The columns of a table, as `headings` has them."""
        costs = self.costs
        return (
            self.peer,
            f"{self.rate:,.0f}",
            f"{median(self.rates):.2f}" if self.rates else "–",
            f"{self.cpu:,.1f}",
            f"{median(costs):.2f}" if costs else "–",
            f"{min(costs):.2f} – {max(costs):.2f}" if costs else "",
            f"{median(self.to_ours):.2f}" if self.to_ours else "–",
            str(self.bad or ""),
        )


def headings(reference: str) -> tuple[str, ...]:
    """The names of `Row.cells`."""
    return ("", "requests/s", f"÷ {reference}", "CPU µs/request", f"÷ {reference}", "(least – most)", "÷ ours", "bad")


def rows_of(runs: list[Run], reference: str) -> list[Row]:
    """One workload: a row a server; a ratio is the median of the rounds' own ratios."""
    names = list(dict.fromkeys(run.peer for run in runs))
    base, ours = (_by_round(runs, name) for name in (reference, _ours(names)))
    return [_row(name, [run for run in runs if run.peer == name], base, ours) for name in names]


def table(workload: Workload, runs: list[Run], reference: str) -> str:
    """One workload as text, and whether its goal was reached."""
    rows = rows_of(runs, reference)
    figures = aligned([headings(reference), *(row.cells() for row in rows)])
    return "\n".join(filter(None, [f"\n{workload.title}", figures, verdict(workload, rows, reference)]))


def verdict(workload: Workload, rows: list[Row], reference: str) -> str:
    """A line that says what was to be reached and what was; "" where either server is missing."""
    ours = next((row for row in rows if row.peer == _ours(row.peer for row in rows)), None)
    if ours is None or not ours.costs:
        return ""
    # A page's goal is how many there are to be, any other's what one is to cost.
    many = workload.kind == "page"
    figure = median(ours.rates if many else ours.costs)
    reached = figure >= workload.goal if many else figure <= workload.goal
    goal = f"requests/s at least {workload.goal:g}" if many else f"CPU at most {workload.goal:g}"
    return f"  goal: {goal} × {reference}'s; it is {figure:.2f}: {'reached' if reached else 'missed'}"


def _ours(names: Iterable[str]) -> str:
    """The first of this server's own runs: the one under this Python."""
    return next((name for name in names if name.startswith("httpd")), "")


def _by_round(runs: list[Run], name: str) -> dict[int, Run]:
    return {run.round: run for run in runs if run.peer == name}


def _row(name: str, runs: list[Run], base: dict[int, Run], ours: dict[int, Run]) -> Row:
    return Row(
        name,
        median(run.rate for run in runs),
        [run.rate / base[run.round].rate for run in runs if run.round in base],
        median(run.cpu for run in runs),
        _costs(runs, base),
        _costs(runs, ours),
        sum(run.bad for run in runs),
    )


def _costs(runs: list[Run], base: dict[int, Run]) -> list[float]:
    """Processor time for a request, divided by that of the same round's other run."""
    return [run.cpu / base[run.round].cpu for run in runs if run.round in base and base[run.round].cpu]


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns, the first to the left and the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
