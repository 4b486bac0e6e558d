"""One row of the table: what we say, what somebody says who shares no code with us, and how far apart they may be."""

from __future__ import annotations

import math
from typing import NamedTuple

MARKS = {True: "yes", False: "NO", None: "missing"}


class Row(NamedTuple):
    what: str
    judge: str
    ours: float = math.nan
    theirs: float = math.nan
    difference: float = math.nan
    tolerance: float = math.nan  # NaN: nobody to compare with

    @property
    def agrees(self) -> bool | None:
        """None if nobody judges; a difference that is not a number agrees with nothing."""
        return None if math.isnan(self.tolerance) else self.difference <= self.tolerance


def compared(what: str, judge: str, ours: float, theirs: float, tolerance: float) -> Row:
    """Two numbers."""
    return Row(what, judge, ours, theirs, abs(ours - theirs), tolerance)


def missing(what: str, why: str = "no second implementation") -> Row:
    return Row(what, why)


def markdown(rows: list[Row]) -> str:
    def line(row: Row) -> str:
        numbers = ("" if math.isnan(number) else f"{number:.4g}" for number in row[2:])
        return " | ".join([f"| {row.what}", row.judge, *numbers, f"{MARKS[row.agrees]} |"])

    head = ["| what | judge | ours | theirs | difference | tolerance | agrees |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(line, rows)])
