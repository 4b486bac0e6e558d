"""Which device to use and how to run a sampler on it: the only place that knows about CUDA."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser
from ddpm_core.models.prepared import prepared
from ddpm_core.samplers.registry import SAMPLERS, Noise, ParticleNoise, Step
from ddpm_core.schedules import Schedule


def pick() -> torch.device:
    """DDPM_DEVICE if set, else CUDA, else MPS, else the CPU.

    On ZeroGPU Spaces, which lend a GPU for single calls only, the CPU: 2-D sampling happens outside such calls.
    """
    if name := os.environ.get("DDPM_DEVICE"):
        try:
            return torch.device(name)
        except RuntimeError:
            raise ValueError(f"DDPM_DEVICE = {name!r} is not a device; use cpu, cuda or mps, for example") from None
    if torch.cuda.is_available() and not os.environ.get("SPACES_ZERO_GPU"):
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def describe(device: torch.device) -> str:
    """A name for people: "CPU", "MPS", "CUDA (NVIDIA H100)"."""
    name = device.type.upper()
    return f"{name} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else name


def precision(device: torch.device) -> str:
    """The fastest of PRECISIONS for a network of images: bfloat16 on a CPU with instructions for it.

    Depends only on the processor, never on a measurement, so a machine always draws the same picture.
    """
    # Older versions of torch cannot tell.
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if device.type == "cpu" and known.get("avx512_bf16") else "float32"


def run_sampler(
    name: str, denoiser: Denoiser, schedule: Schedule, x_T: Tensor, *, noise: Noise, **options
) -> Iterator[Step]:
    """SAMPLERS[name] on the device of x_T [n, ...]: on CUDA replayed as one graph, elsewhere as it is.

    KeyError lists the known samplers.
    """
    if name not in SAMPLERS:
        raise KeyError(f"unknown sampler {name!r}; known: {', '.join(SAMPLERS)}")
    if x_T.device.type == "cuda":
        levels = (schedule.alpha.numpy().tobytes(), schedule.sigma.numpy().tobytes())
        key = (name, id(denoiser), *sorted(options.items()), *levels, x_T.shape, x_T.dtype, x_T.device)
        if recording := _recording(key, name, denoiser, schedule, x_T, options):
            return recording.replay(x_T, noise)
    return SAMPLERS[name](denoiser, schedule, x_T, noise=noise, **options)


def sample(name: str, denoiser: Denoiser, schedule: Schedule, noise: ParticleNoise, **options) -> Step:
    """The last step of `run_sampler` from noise.start(), on the device of the noise: its x is the sample [n, ...]."""
    x_T = schedule.scale[-1].item() * noise.start()
    return deque(run_sampler(name, denoiser, schedule, x_T, noise=noise, **options), maxlen=1)[0]


class _Recording:
    """A whole walk, all kernels of its T steps, captured once as a CUDA graph: a replay is a single launch.

    Samplers are captured as they are. Start and noise are read from fixed buffers that a replay fills first.
    """

    def __init__(self, name: str, denoiser: Denoiser, schedule: Schedule, x_T: Tensor, options: dict):
        self.denoiser = denoiser  # keeps the key's id() from being given to another one
        self.lock = threading.Lock()
        self.x_T, self.z = x_T.clone(), torch.zeros(schedule.T + 1, *x_T.shape, device=x_T.device)
        self.used: set[int] = set()  # the t whose noise the sampler asked for

        def noise(t: int) -> Tensor:
            self.used.add(t)
            return self.z[t]

        ready = prepared(denoiser, schedule.levels)  # involves copies from the CPU, which cannot be captured

        def record() -> Iterator[Step]:
            return SAMPLERS[name](ready, schedule, self.x_T, noise=noise, **options)

        side = torch.cuda.Stream(x_T.device)  # libraries initialise at first use, which must not be captured
        side.wait_stream(torch.cuda.current_stream(x_T.device))
        with torch.cuda.stream(side):
            deque(itertools.islice(record(), 3))
        torch.cuda.current_stream(x_T.device).wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.steps = list(record())
            self.x = torch.stack([step.x for step in self.steps])  # [T + 1, n, ...]
            self.values = torch.stack([step.prediction.value for step in self.steps])

    def replay(self, x_T: Tensor, noise: Noise) -> Iterator[Step]:
        with self.lock:  # replays share the buffers, so the results are copied
            self.x_T.copy_(x_T)
            if used := sorted(self.used):
                self.z[used] = torch.stack([noise(t).cpu() for t in used]).to(self.z)
            self.graph.replay()
            moved = zip(self.steps, self.x.clone(), self.values.clone(), strict=True)
        for step, x, value in moved:
            yield replace(step, x=x, prediction=replace(step.prediction, x=x, value=value))


_recordings: OrderedDict[tuple, _Recording | None] = OrderedDict()
_recordings_lock = threading.Lock()
MAX_RECORDINGS = 8


def _recording(key: tuple, *walk_arguments) -> _Recording | None:
    """The recording for `key`, made at first use; None if the walk cannot be captured, which is remembered too."""
    with _recordings_lock:
        if key not in _recordings:
            try:
                _recordings[key] = _Recording(*walk_arguments)
            except RuntimeError as error:
                warnings.warn(f"sampling without a CUDA graph: {error}", RuntimeWarning, stacklevel=3)
                _recordings[key] = None
            if len(_recordings) > MAX_RECORDINGS:
                _recordings.popitem(last=False)
        _recordings.move_to_end(key)
        return _recordings[key]
