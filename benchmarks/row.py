"""One row of the table, timing in turns, and the table in Markdown."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    what: str
    measured: str
    against: str  # the peer or the floor, measured in the same run
    ratio: str
    bar: str
    met: bool | None  # None: no target, or not measurable on this machine


def medians(functions: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """Median seconds of each function, called in turns so that a noisy machine affects all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def markdown(rows: list[Row]) -> str:
    marks = {True: "yes", False: "**no**", None: "–"}
    lines = ["| what | measured | against | ratio | bar | met |", "|---|---|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join([*row[:5], marks[row.met]]) + " |" for row in rows])
