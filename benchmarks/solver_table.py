"""Every solver on every data set: the precomputed figures of the Solvers tab.

    python -m benchmarks.solver_table          writes assets/solver_table.json; over two hours of a core
    python -m benchmarks.solver_table heart    only these data sets; the others stay as they are

A row holds, for each metric of PANEL and each number of evaluations, the median of SEEDS independent clouds of N
samples, along the default levels of the tab. `limits` is the range of 95 % of perfect clouds.
"""

from __future__ import annotations

import json
import sys

import torch
from tqdm import tqdm

from ddpm_core import (
    DATASETS,
    METRICS,
    PANEL,
    Denoiser,
    MixtureDenoiser,
    ParticleNoise,
    load_checkpoint,
    sample,
    schedule_for_nfe,
)
from ddpm_ui.exhibits.solvers.recipe import Solvers
from ddpm_ui.recipes import RACERS, mixture_of
from ddpm_ui.words import ASSETS

FILE = ASSETS / "solver_table.json"
NFES = (5, 8, 12, 20, 36, 64)
SEEDS, N = 3, 10_000  # number of clouds, particles in each
RECIPE = Solvers()


def medians(name: str, denoiser: Denoiser, data: str, nfes=NFES) -> dict[str, list[float]]:
    """Each metric of PANEL at each nfe."""
    found: dict[str, list[float]] = {metric: [] for metric in PANEL}
    for nfe in nfes:
        levels = schedule_for_nfe(name, RECIPE.full_schedule, nfe, RECIPE.spacing)
        clouds = [sample(name, denoiser, levels, ParticleNoise(RECIPE.seed + k, N)).x for k in range(SEEDS)]
        for metric, row in found.items():
            values = [METRICS[metric].measure(cloud, mixture_of(data)).value for cloud in clouds]
            row.append(float(f"{sorted(values)[SEEDS // 2]:.4g}"))
    return found


def main(chosen: list[str]) -> None:
    table = json.loads(FILE.read_text(encoding="utf-8")) if chosen and FILE.exists() else {"data": {}}
    table |= {"nfe": NFES, "n": N, "seeds": SEEDS, "torch": torch.__version__}
    torch.set_flush_denormal(True)  # responsibilities that vanish take ten times as long to compute
    for data in tqdm(chosen or DATASETS):
        denoisers: dict[str, Denoiser] = {"learned": load_checkpoint(data), "exact": MixtureDenoiser(mixture_of(data))}
        rows = {
            meaning: {name: medians(name, denoiser, data) for name in tqdm(RACERS, leave=False)}
            for meaning, denoiser in denoisers.items()
        }
        perfect = {name: METRICS[name].measure(torch.zeros(N, 2), mixture_of(data)) for name in PANEL}
        limits = {name: [float(f"{limit:.4g}") for limit in (m.low, m.high)] for name, m in perfect.items()}
        table["data"][data] = {"limits": limits, "rows": rows}
        FILE.write_text(json.dumps(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
