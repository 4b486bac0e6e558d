"""One computation, many readers: everybody who asks for the same recipe reads it from the beginning.

A Broadcast runs a generator in a worker thread and stores what it yields. If the last reader leaves before the end, the
computation stops. Finished ones are kept as long as there is room, so the same recipe is computed only once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Generator

import anyio
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from ddpm_ui.server.lanes import Lane
from ddpm_ui.server.wire import PAUSE, json_chunk
from ddpm_ui.words import Message

log = logging.getLogger(__name__)

MAX_CACHED_BYTES = 256_000_000
FAILED = Message("failed", {})


class Broadcast:
    """One computation, many readers."""

    def __init__(self, source: Generator[bytes, None, None], lane: Lane):
        self.source, self.lane = source, lane
        self.chunks: list[bytes] = []
        self.size = self.readers = 0
        self.done = False
        self.stale = False  # failed or abandoned: nobody may join any more
        self._grew = asyncio.Event()
        self.task = asyncio.create_task(self._compute())

    def wake(self):
        self._grew.set()
        self._grew = asyncio.Event()

    async def _turn(self) -> bool:
        """Compute for one turn; returns whether there is more to do."""
        async with self.lane.turn(self) as over:
            self.wake()
            async for chunk in iterate_in_threadpool(self.source):
                if chunk:
                    self.chunks.append(chunk)
                    self.size += len(chunk)
                    self.wake()
                # only here: a generator can be closed only while no thread is inside it
                if self.stale or over() or (chunk == PAUSE and self.lane.waiting):
                    return not self.stale
        return False

    async def _compute(self):
        try:
            while await self._turn():
                pass
        except Exception:
            log.exception("a computation failed")
            self.stale = True
            self.chunks.append(json_chunk({"message": FAILED}))
        finally:
            await run_in_threadpool(self.source.close)
            self.done = True
            self.wake()

    async def read(self) -> AsyncIterator[bytes]:
        self.readers += 1
        waiting = self.lane.waiting
        try:
            sent, place = 0, 0
            while True:
                grew = self._grew
                while sent < len(self.chunks):
                    sent += 1
                    yield self.chunks[sent - 1]
                if self.done:
                    return
                before, place = place, waiting.index(self) + 1 if self in waiting else 0
                if place != before:
                    yield json_chunk({"queued": place})
                with anyio.move_on_after(1.0):  # the place in the queue may have changed
                    await grew.wait()
        finally:
            self.readers -= 1
            if self.readers == 0 and not self.done:
                self.stale = True
                if self in waiting:
                    self.task.cancel()


_broadcasts: OrderedDict[tuple[str, str], Broadcast] = OrderedDict()


def broadcast(key: tuple[str, str], make: Callable[[], Generator[bytes, None, None]], lane: Lane) -> Broadcast:
    """The running or finished computation of this name, or a new one."""
    found = _broadcasts.get(key)
    if found is None or found.stale:
        found = _broadcasts[key] = Broadcast(make(), lane)
    _broadcasts.move_to_end(key)
    total = sum(b.size for b in _broadcasts.values())
    for old in list(_broadcasts):
        if total <= MAX_CACHED_BYTES:
            break
        if _broadcasts[old].done and old != key:
            total -= _broadcasts.pop(old).size
    return found


def streamed(running: Broadcast, headers: dict[str, str]) -> Response:
    """A response with the chunks as they arrive."""
    # an explicit encoding disables the gzip middleware: it would delay chunks, and noise does not compress
    headers = headers | {"Content-Encoding": "identity"}
    return StreamingResponse(running.read(), media_type="application/octet-stream", headers=headers)
