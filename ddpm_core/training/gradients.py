"""Wrappers for the gradients of one step: a teacher, parts that fit into memory, bfloat16, several processes.

Each wraps a function batch -> loss, which adds the gradients of the loss to those of the network, and returns another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ddpm_core.models.precision import Bfloat16

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ddpm_core.training.loop import Batch, TrainConfig

Gradients = Callable[["Batch"], Tensor]


def cut(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch by noise level into `parts` batches whose losses add up to that of the whole.

    ValueError if there are fewer noise levels than parts.
    """
    levels = len(batch.target)
    if levels < parts:
        raise ValueError(f"a batch of {levels} noise levels cannot be cut into {parts} parts")
    columns = (column.tensor_split(parts) for column in (batch.target, batch.weight, *batch.asked))
    return [
        batch._replace(asked=tuple(asked), target=target, weight=weight * (len(target) / levels))
        for target, weight, *asked in zip(*columns, strict=True)
    ]


def taught(gradients: Gradients, teacher: Callable[..., Tensor]) -> Gradients:
    """Replaces the target by the teacher's prediction."""
    return lambda batch: gradients(batch._replace(target=teacher(*batch.asked)))


def in_parts(gradients: Gradients, parts: int) -> Gradients:
    """Computes one part of the batch after the other: less memory, the same step."""
    return lambda batch: torch.stack([gradients(part) for part in cut(batch, parts)]).sum()


def shared(gradients: Gradients, accelerator: Accelerator, parts: int) -> Gradients:
    """Every process draws the whole batch and computes `parts` parts of it.

    Accelerate averages the gradients over the processes, but they must be summed, so each loss is scaled up.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes

    def mine(batch: Batch) -> Tensor:
        share = cut(batch, parts * processes)[rank::processes]
        losses = [gradients(part._replace(weight=part.weight * processes)) for part in share]
        return accelerator.reduce(torch.stack(losses).sum() / processes)

    return mine


def assisted(
    plain: Callable[[nn.Module, Batch], Tensor],
    net: nn.Module,
    config: TrainConfig,
    accelerator: Accelerator | None,
    teacher: Callable[..., Tensor] | None,
) -> Gradients:
    """`plain` for `net` with the wrappers that are asked for; by default none."""
    model = accelerator.prepare(net) if accelerator else net
    if config.precision == "bfloat16":
        model, teacher = Bfloat16(model), Bfloat16(teacher) if teacher else None
    gradients: Gradients = partial(plain, model)
    if teacher:
        gradients = taught(gradients, teacher)
    if accelerator:
        return shared(gradients, accelerator, config.parts)
    return in_parts(gradients, config.parts) if config.parts > 1 else gradients
