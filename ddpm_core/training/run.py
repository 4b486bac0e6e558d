"""The frame of a training on the command line: progress bar, Ctrl-C, resuming, several processes."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from tqdm import tqdm

from ddpm_core.data.images import image_grid
from ddpm_core.metrics.image_evaluation import SamplingConfig, draw
from ddpm_core.models import checkpoints
from ddpm_core.models.denoisers import NetworkDenoiser
from ddpm_core.models.networks import UNet
from ddpm_core.training.loop import TrainConfig, TrainStep

if TYPE_CHECKING:
    from accelerate import Accelerator


def processes() -> Accelerator | None:
    """The Accelerator under `accelerate launch` or torchrun, None in a single process. Respects DDPM_DEVICE=cpu."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    from accelerate import Accelerator  # noqa: PLC0415  # needed only with several devices

    return Accelerator(cpu=os.environ.get("DDPM_DEVICE") == "cpu")


class Run:
    """Follows a training: progress bar, stop at Ctrl-C, the state for a later run, the log of a long one."""

    def __init__(self, unfinished: Path, log: Path | None, every: float, accelerator):
        self.unfinished, self.log, self.every, self.accelerator = unfinished, log, every, accelerator
        self.leads = accelerator is None or accelerator.is_main_process  # only one of several processes writes
        self.stop = threading.Event()  # Ctrl-C takes effect at the end of a step, when the state is consistent

    def follow(self, steps: Iterable[TrainStep], config: TrainConfig, done: int) -> TrainStep | None:
        """Run to the end or until stopped; returns the last step, or None if there was none."""
        step, loss, saved = None, None, time.monotonic()
        before = signal.signal(signal.SIGINT, lambda *_: self.stop.set())
        try:
            with tqdm(
                total=config.steps, initial=done, unit="step", smoothing=0.05, disable=None if self.leads else True
            ) as bar:
                for step in steps:
                    loss = step.loss if loss is None else 0.99 * loss + 0.01 * step.loss
                    bar.update()
                    if step.step % 100 == 0:
                        bar.set_postfix(loss=f"{loss:.4f}", lr=f"{step.lr:.1e}")
                    if self.leads and time.monotonic() - saved > self.every:
                        saved = time.monotonic()
                        self.save(step, loss, config)
                    if self.stopped():
                        break
        finally:
            signal.signal(signal.SIGINT, before)
        return step

    def stopped(self) -> bool:
        if self.accelerator is None:
            return self.stop.is_set()
        return bool(self.accelerator.reduce(torch.tensor(float(self.stop.is_set()), device=self.accelerator.device)))

    def save(self, step: TrainStep, loss: float, config: TrainConfig) -> None:
        """Save what a later run needs; in the log also the loss, the averaged weights and sample images."""
        self.unfinished.parent.mkdir(parents=True, exist_ok=True)
        # Written beside the old file, which stays intact if the process is killed meanwhile.
        whole = self.unfinished.with_suffix(".part")
        safetensors.torch.save_file(step.state(), whole)
        whole.replace(self.unfinished)
        if self.log is None:
            return
        self.log.mkdir(parents=True, exist_ok=True)
        with (self.log / "loss.csv").open("a") as file:
            file.write(f"{step.step},{loss:.5f},{step.lr:.2e}\n")
        metadata = {"target": config.target, "training": dataclasses.asdict(config) | {"done": step.step}}
        checkpoints.save_checkpoint(self.log / "average.safetensors", step.ema, metadata)
        if isinstance(step.ema, UNet):
            images = draw(NetworkDenoiser(step.ema, config.target), 4 * step.ema.classes, SamplingConfig(), seed=0)
            image_grid(images.x0, step.ema.classes).save(self.log / f"{step.step:06d}.png")
