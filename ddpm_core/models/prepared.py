"""Known noise levels: what a network makes of each is computed once for a whole walk, not again at every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ddpm_core.models.denoisers import Denoiser, NetworkDenoiser
from ddpm_core.models.prediction import Prediction
from ddpm_core.schedules import NoiseLevel, half_log_snr


class PreparedNetwork:
    """A NetworkDenoiser that knows the noise levels at which it will be asked: the same answers, sooner.

    For networks with net(x, lam) = net.at(x, net.level(lam)), such as MLP. At any other level `plain` answers.
    """

    def __init__(self, plain: NetworkDenoiser, levels: Iterable[NoiseLevel]):
        self.plain, self.net, self.target = plain, plain.net, plain.target
        self.known: dict[NoiseLevel, Tensor] = {}
        self.prepare(levels)

    def prepare(self, levels: Iterable[NoiseLevel]) -> PreparedNetwork:
        """Itself, once it knows these levels too."""
        if missing := [level for level in dict.fromkeys(levels) if level not in self.known]:
            lam = torch.tensor([half_log_snr(*level) for level in missing], dtype=torch.float64)
            with torch.no_grad():
                shifts = self.net.level(lam.to(next(self.net.parameters())))
            self.known = self.known | dict(zip(missing, shifts, strict=True))
        return self

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Prediction:
        known = self.known.get((alpha, sigma))
        if known is None:
            return self.plain(x, alpha, sigma)
        scale = math.hypot(alpha, sigma)
        out = self.net.at(x if scale == 1 else x / scale, known)
        # torch.no_grad would cost a hundredth of a step; networks that have learned build no graph anyway
        unwanted = out.requires_grad and not x.requires_grad
        return self._prediction(x, alpha, sigma, out.detach() if unwanted else out, scale)

    def at_once(self, xs: Sequence[Tensor], levels: Sequence[NoiseLevel]) -> list[Prediction]:
        """The prediction for each of xs, [n, ...], at its own known level, by one pass through the network."""
        scales = [math.hypot(*level) for level in levels]
        with torch.no_grad():
            known = torch.stack([self.known[level] for level in levels])[:, None]
            outs = self.net.at(torch.stack([x / scale for x, scale in zip(xs, scales, strict=True)]), known)
        parts = zip(xs, levels, outs, scales, strict=True)
        return [self._prediction(x, *level, out, scale) for x, level, out, scale in parts]

    def _prediction(self, x: Tensor, alpha: float, sigma: float, out: Tensor, scale: float) -> Prediction:
        scaled = self.target == "v" and scale != 1
        return Prediction(x, alpha, sigma, self.target, out * scale if scaled else out)


def prepared(denoiser: Denoiser, levels: Iterable[NoiseLevel]) -> Denoiser:
    """`denoiser`, prepared to be asked at `levels`; itself where there is nothing to prepare.

    Wrappers such as guidance prepare what they wrap, by a method `prepare(levels)` of their own.
    """
    if isinstance(denoiser, NetworkDenoiser):
        possible = hasattr(denoiser.net, "level") and denoiser.label is None
        return PreparedNetwork(denoiser, levels) if possible else denoiser
    return denoiser.prepare(levels) if hasattr(denoiser, "prepare") else denoiser


def ask_at_once(denoiser: Denoiser, xs: Sequence[Tensor], levels: Sequence[NoiseLevel]) -> list[Prediction]:
    """The prediction for each of xs, [n, ...], at its own level; by one pass if it is a network that knows them."""
    if isinstance(denoiser, PreparedNetwork) and denoiser.known.keys() >= set(levels):
        return denoiser.at_once(xs, levels)
    return [denoiser(x, *level) for x, level in zip(xs, levels, strict=True)]
