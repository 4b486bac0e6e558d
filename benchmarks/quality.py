"""Quality of the shipped Swiss-roll checkpoint under several schedules, none of which was used in training."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.row import Row
from ddpm_core import DATASETS, PANEL, load_checkpoint
from ddpm_core.metrics.evaluation import measure

NLL_BAR = {"linear": 0.05, "cosine": 0.10, "flow": 0.10}  # nats
SLICED_BAR = 1.5  # times the noise floor


def rows(n: int = 10_000) -> Iterator[Row]:
    denoiser, mixture = load_checkpoint("swiss_roll"), DATASETS["swiss_roll"]()
    for run in measure(denoiser, mixture, n):
        what, bar = f"{run['sampler']}, {run['schedule']}, n = {n}", NLL_BAR[run["schedule"].split()[0]]
        nll, sliced, outliers = (run[metric] for metric in PANEL)
        floor = f"floor {nll['floor']:.3f}"
        yield Row(
            f"excess NLL, {what}", f"{nll['value']:+.3f} nats", floor, "", f"± {bar:.2f}", abs(nll["value"]) <= bar
        )
        ratio, floor = sliced["value"] / sliced["floor"], f"floor {sliced['floor']:.4f}"
        yield Row(f"sliced W2, {what}", f"{sliced['value']:.4f}", floor, f"{ratio:.2f}", "≤ 1.5", ratio <= SLICED_BAR)
        perfect = f"perfect {outliers['low']:.4f} to {outliers['high']:.4f}"
        yield Row(f"outlier share, {what}", f"{outliers['value']:.4f}", perfect, "", "", None)
