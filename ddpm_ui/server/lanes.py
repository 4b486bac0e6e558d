"""Fairness: so many computations at once, the others wait in line and know their place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

MAX_COMPUTING = os.cpu_count() or 1  # in each lane, a core each
TURN = 60.0  # seconds


class Waiting(Protocol):
    """What stands in line."""

    def wake(self) -> None:
        """Its place may have changed."""


class Lane:
    """So many computations at once; the others wait in line, first come, first served, and know their place.

    Where others wait, nobody keeps a place for longer than a TURN: what is not done by then goes on after them.
    """

    def __init__(self, at_once: int):
        self.free, self.waiting = asyncio.Semaphore(at_once), list[Waiting]()

    @contextlib.asynccontextmanager
    async def turn(self, who: Waiting) -> AsyncIterator[Callable[[], bool]]:
        """Wait, then compute, until what is handed over says that it is somebody else's turn."""
        self.waiting.append(who)
        who.wake()
        try:
            await self.free.acquire()
        finally:
            self.waiting.remove(who)
        over = time.monotonic() + TURN
        try:
            yield lambda: bool(self.waiting) and time.monotonic() > over
        finally:
            self.free.release()


# Figures take seconds and cannot be left half-way: what moves must not wait until those of an older choice are drawn.
walks, figures, trainings = (Lane(MAX_COMPUTING) for _ in range(3))
