"""Figures as text: medians, and ratios paired within a round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .measure import Run


@dataclass(frozen=True)
class Row:
    """One server at one workload: medians over the rounds, and the rounds' own ratios to the reference."""

    peer: str
    rate: float
    rates: list[float]
    cpu: float
    costs: list[float]
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
            str(self.bad or ""),
        )


def headings(reference: str) -> tuple[str, ...]:
    """The names of `Row.cells`."""
    return ("", "requests/s", f"÷ {reference}", "CPU µs/request", f"÷ {reference}", "(least – most)", "bad")


def rows_of(runs: list[Run], reference: str) -> list[Row]:
    """One workload: a row a server; a ratio is the median of the rounds' own ratios."""
    base = {run.round: run for run in runs if run.peer == reference}
    names = list(dict.fromkeys(run.peer for run in runs))
    return [_row(name, [run for run in runs if run.peer == name], base) for name in names]


def table(title: str, runs: list[Run], reference: str) -> str:
    """One workload as text."""
    return f"\n{title}\n" + aligned([headings(reference), *(row.cells() for row in rows_of(runs, reference))])


def _row(name: str, runs: list[Run], base: dict[int, Run]) -> Row:
    return Row(
        name,
        median(run.rate for run in runs),
        [run.rate / base[run.round].rate for run in runs if run.round in base],
        median(run.cpu for run in runs),
        [run.cpu / base[run.round].cpu for run in runs if run.round in base and base[run.round].cpu],
        sum(run.bad for run in runs),
    )


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns, the first to the left and the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
