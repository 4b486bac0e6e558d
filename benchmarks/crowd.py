"""Twelve people train at once on one server: failures, waiting times, memory, and how fast Stop takes effect."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.row import Row
from ddpm_ui.server.wire import Trajectory
from tests.real import served

PEOPLE, STEPS = 12, 3_000
STOPS, STOP_BAR = 7, 0.3  # number of presses of Stop; seconds that one may take


def _lesson(address: str, k: int, steps: int):
    return urllib.request.urlopen(f"{address}/lab/train?steps={steps}&seed={k}&run={k:016x}", timeout=600)


def _learn(address: str, k: int) -> tuple[float, float]:
    """Seconds until person k sees the first samples and until the training is done."""
    start, first, parts = time.perf_counter(), 0.0, []
    with _lesson(address, k, STEPS) as stream:
        while part := stream.read1(1 << 20):
            parts.append(part)
            if not first and sum(map(len, parts)) > 100_000:  # a shot
                first = time.perf_counter() - start
    assert Trajectory.decode(parts).header["done"]
    return first, time.perf_counter() - start


def _stopped(address: str, k: int) -> float:
    """Seconds from leaving a training until its network is available."""
    with _lesson(address, k, 100_000) as stream:
        stream.read(200_000)
    start = time.perf_counter()
    while not _kept(address, k):
        time.sleep(0.01)
    return time.perf_counter() - start


def _kept(address: str, k: int) -> bool:
    try:
        urllib.request.urlopen(f"{address}/lab/checkpoint/{k:016x}", timeout=60).close()
    except urllib.error.HTTPError:
        return False
    return True


@contextmanager
def _watched(process: psutil.Process) -> Iterator[list[float]]:
    """Resident memory of the process in megabytes, sampled five times a second."""
    seen, stop = [process.memory_info().rss / 1e6], threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            seen.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    stop.set()
    thread.join()


def rows() -> Iterator[Row]:
    with TemporaryDirectory() as folder, served("app.py", log=Path(folder, "app.log")) as address:
        (server,) = psutil.Process().children()
        _learn(address, 0)  # alone, so that one-time loading is not attributed to the twelve
        with _watched(server) as memory, ThreadPoolExecutor(PEOPLE) as people:
            futures = [people.submit(_learn, address, k) for k in range(1, PEOPLE + 1)]
            failed = sum(future.exception() is not None for future in futures)
        first, done = zip(*(future.result() for future in futures if not future.exception()), strict=True)
        what = f"{PEOPLE} trainings at once, {STEPS} steps each"
        yield Row(f"{what}: failed", str(failed), "", "", "0", failed == 0)
        yield Row(f"{what}: first samples, all done", f"{max(first):.0f} s, {max(done):.0f} s", "", "", "", None)
        each = f"{(max(memory) - memory[0]) / PEOPLE:.1f} each"
        yield Row(f"{what}: memory, MB", f"{max(memory):.0f}", f"before {memory[0]:.0f}", each, "", None)
        with _lesson(address, 99, 100_000) as another:
            another.read(200_000)
            stop, bar = median(_stopped(address, 100 + k) for k in range(STOPS)), f"≤ {STOP_BAR} s"
        yield Row(
            "from Stop to the network kept, beside another training", f"{stop:.2f} s", "", "", bar, stop <= STOP_BAR
        )
