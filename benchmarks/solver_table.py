"""Every solver on every data set: the precomputed figures of the Solvers tab.

    python -m benchmarks.solver_table          writes assets/solver_table.json; half an hour on one core
    python -m benchmarks.solver_table heart    only these data sets; the others stay as they are

A row is the sliced W2 of samples to equally many points of the data at each number of evaluations, averaged over SEEDS
independent clouds, along the default levels of the tab. `limit` is the 97.5 % quantile of perfect samples.
"""

from __future__ import annotations

import json
import sys

import torch
from tqdm import tqdm

from ddpm_core import DATASETS, Denoiser, MixtureDenoiser, ParticleNoise, load_checkpoint, sample, schedule_for_nfe
from ddpm_ui.exhibits.solvers.figures import distances, perfect_band
from ddpm_ui.exhibits.solvers.recipe import Solvers
from ddpm_ui.recipes import RACERS
from ddpm_ui.words import ASSETS

FILE = ASSETS / "solver_table.json"
NFES = (5, 8, 12, 20, 32, 50, 80, 128)
SEEDS, N = 3, 2000  # number of clouds, particles in each
PERFECT = 100
METRIC = "sliced_w2"
RECIPE = Solvers()


def means(name: str, denoiser: Denoiser, data: str, clouds: int, nfes=NFES) -> list[float]:
    """Sliced W2 at each nfe, averaged over `clouds` independent clouds."""
    noise, found = ParticleNoise(RECIPE.seed, clouds * N), []
    for nfe in nfes:
        levels = schedule_for_nfe(name, RECIPE.full_schedule, nfe, RECIPE.spacing)
        values = distances(METRIC, data, sample(name, denoiser, levels, noise).x.view(clouds, N, -1))
        found.append(float(f"{sum(values) / clouds:.4g}"))
    return found


def main(chosen: list[str]) -> None:
    table = json.loads(FILE.read_text(encoding="utf-8")) if chosen and FILE.exists() else {"data": {}}
    table |= {"nfe": NFES, "n": N, "seeds": SEEDS, "torch": torch.__version__}
    for data in tqdm(chosen or DATASETS):
        denoisers: dict[str, tuple[Denoiser, int]] = {
            "learned": (load_checkpoint(data), SEEDS),
            "exact": (MixtureDenoiser(DATASETS[data]()), 1),  # slow, and only for comparison
        }
        rows = {
            meaning: {name: means(name, denoiser, data, clouds) for name in tqdm(RACERS, leave=False)}
            for meaning, (denoiser, clouds) in denoisers.items()
        }
        _, limit = perfect_band(data, METRIC, N, PERFECT)
        table["data"][data] = {"limit": float(f"{limit:.4g}"), "rows": rows}
        FILE.write_text(json.dumps(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
