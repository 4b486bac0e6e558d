"""The complete state of a training, so that a stopped run can continue bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TrainState:
    """What changes during a training: step, network, average, optimiser, random generator."""

    def __init__(
        self, net: nn.Module, ema: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
    ) -> None:
        self.step, self.net, self.ema, self.optimiser, self.generator = 0, net, ema, optimiser, generator

    def tensors(self) -> dict[str, Tensor]:
        """A copy of everything as plain tensors under flat names, so that safetensors can hold it."""
        tensors = {"step": torch.tensor(self.step), "generator": self.generator.get_state()}
        for prefix, module in (("net", self.net), ("ema", self.ema)):
            tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
        for i, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": value for name, value in slots.items()}
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore from `tensors`. ValueError if they belong to another network."""

        def under(prefix: str) -> dict[str, Tensor]:
            return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}

        try:
            self.net.load_state_dict(under("net"))
            self.ema.load_state_dict(under("ema"))
        except RuntimeError as error:
            raise ValueError("the state to resume belongs to another network") from error
        slots: dict[int, dict[str, Tensor]] = {}
        parameters = list(self.net.parameters())
        for key, value in under("optimiser").items():
            i, name = key.split(".")
            moment = torch.empty_like(parameters[int(i)]) if name != "step" else torch.empty_like(value)
            slots.setdefault(int(i), {})[name] = moment.copy_(value)  # with the memory layout of its parameter
        self.optimiser.load_state_dict({"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.generator.set_state(tensors["generator"])
        self.step = int(tensors["step"])
