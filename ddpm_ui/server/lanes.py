"""Fairness: a limited number of computations at once; the others wait in line and know their place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

MAX_COMPUTING = os.cpu_count() or 1  # in each lane, one per core
TURN = 60.0  # seconds


class Waiting(Protocol):
    """A computation that waits in line."""

    def wake(self) -> None:
        """Its place may have changed."""


class Lane:
    """A limited number of computations at once; the others wait, first come, first served, and know their place.

    While others wait, a computation runs for at most one TURN; an unfinished one continues after them.
    """

    def __init__(self, at_once: int):
        self.free, self.waiting = asyncio.Semaphore(at_once), list[Waiting]()

    @contextlib.asynccontextmanager
    async def turn(self, who: Waiting) -> AsyncIterator[Callable[[], bool]]:
        """Wait, then compute until the turn is over."""
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


# Figures take seconds and cannot be interrupted; animations must not wait for the figures of an older choice.
walks, figures, trainings = (Lane(MAX_COMPUTING) for _ in range(3))
