"""Every number that the page and the README say in a sentence, against a measurement.

A string of the page with a digit is in CLAIMS or, if the digit belongs to a name or a formula, in NAMES. A new one that
is in neither is a row that disagrees.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from audit import metrics
from audit.law import drawn
from audit.row import Row, compared
from ddpm_core import (
    DATASETS,
    METRICS,
    SAMPLERS,
    SCHEDULES,
    ClassifierFree,
    EmpiricalDenoiser,
    GaussianMixture,
    MixtureDenoiser,
    Prediction,
    Schedule,
    bootstrap_interval,
    excess_nll,
    score_position,
)
from ddpm_core.data import own_data
from ddpm_core.data.images import to_pixels
from ddpm_core.files import shipped
from ddpm_core.metrics.registry import PANEL, moment_deviation
from ddpm_core.schedules import unshrunk
from ddpm_ui.exhibits.images import own_picture
from ddpm_ui.exhibits.solvers.figures import SEEDS, _strains, table
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Solvers
from ddpm_ui.exhibits.train.recipe import Train
from ddpm_ui.exhibits.train.stream import training_set
from ddpm_ui.exhibits.views.figures import UNEQUAL
from ddpm_ui.recipes import RACERS, Noised, RecipeError
from ddpm_ui.server import models, uploads
from ddpm_ui.words import STRINGS

Rng = np.random.Generator
ROOT = shipped("assets").parent
STANDARD = GaussianMixture(1.0, torch.zeros(1, 2), 1.0)


class Claim(NamedTuple):
    text: str  # as it stands in the sentence
    says: float
    measure: Callable[[Rng], float]
    tolerance: float = 0.0


def generator(rng: Rng) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def accepted(allowed: Callable[[Any], object], values: Any, refusal: type[Exception]) -> list:
    """Those of the values that are not refused."""

    def passes(value: Any) -> bool:
        try:
            allowed(value)
        except refusal:
            return False
        return True

    return [value for value in values if passes(value)]


# ---- what is measured ----


def position(of_memory: bool) -> Callable[[Rng], float]:
    """Where the exact denoiser of the law stands, or of the training points."""

    def measure(rng: Rng) -> float:
        law = drawn(rng).ours
        points = law.sample(50, generator=generator(rng))
        truth, memory = MixtureDenoiser(law), EmpiricalDenoiser(points)
        x = points + 0.3 * torch.randn(points.shape, generator=generator(rng), dtype=torch.float64)
        return score_position(memory if of_memory else truth, memory, truth, x, 1.0, 0.3).position

    return measure


def ends(level: str) -> Callable[[Rng], float]:
    """The alpha or sigma of data that is farthest from the others', over all schedules."""
    return lambda rng: max(getattr(make(int(rng.integers(5, 500))), level)[0].item() for make in SCHEDULES.values())


def shrinking(schedule: Callable[[Schedule], Schedule], factor: Callable[[Schedule], torch.Tensor]):
    """x_{t-1} is multiplied by so much more than `factor`, at the worst step of the linear schedule."""

    def measure(rng: Rng) -> float:
        full = SCHEDULES["linear"](200)
        kept = torch.tensor([schedule(full).transition(t - 1, t)[0] for t in range(1, 201)], dtype=torch.float64)
        ratio = kept / factor(full)
        return ratio[(ratio - 1).abs().argmax()].item()

    return measure


def strain_is_range(rng: Rng) -> float:
    """How often, in all of the table, a strain is at most 1 exactly where the value is in its range."""
    same = []
    for data, made in table()["data"].items():
        strains = _strains(Solvers(data=data))
        for meaning, rows in made["rows"].items():
            for name, columns in rows.items():
                for metric, values in columns.items() if strains[meaning].get(name) else ():
                    low, high = made["limits"][metric]
                    found = strains[meaning][name][metric]  # type: ignore[index]
                    same += [(s <= 1 + 1e-9) == (low <= v <= high) for v, s in zip(values, found, strict=True)]
    return float(np.mean(same))


def drawing_end(high: bool) -> Callable[[Rng], float]:
    """The largest, or smallest, coordinate in hundredths that a drawing may have."""

    def measure(rng: Rng) -> float:
        draw = lambda x: uploads.points_from_strokes([[(x, 0.5), (0.4, 0.6)]])  # noqa: E731
        taken = accepted(draw, np.arange(-50, 151) / 100, own_data.OwnDataError)
        return max(taken) if high else min(taken)

    return measure


def characters(rng: Rng) -> float:
    """What one more point adds to the text of own data."""
    points = rng.standard_normal((101, 2))
    return len(own_data.encode(points)) - len(own_data.encode(points[:100]))


def fewest_points(rng: Rng) -> float:
    text = own_data.encode(rng.standard_normal((9, 2))).removeprefix(own_data.PREFIX)
    decode = lambda n: own_data.decode(own_data.PREFIX + text[: 4 * n])  # noqa: E731
    return min(accepted(decode, range(10), own_data.OwnDataError))


def shortest_word(rng: Rng) -> float:
    return min(accepted(lambda n: uploads.points_from_word("a" * n), range(5), own_data.OwnDataError))


def side_of_picture(rng: Rng) -> float:
    """Of an image of any size, after upload and link; NaN if it is not square or comes back changed."""
    width, height = rng.integers(30, 200, 2)
    file = BytesIO()
    Image.fromarray(rng.integers(0, 255, (height, width)).astype(np.uint8)).save(file, "PNG")
    small = uploads.small_picture(file.getvalue())
    same = torch.equal(own_picture.decode(own_picture.encode(small)), small) and small.shape[0] == small.shape[1]
    return small.shape[0] if same else math.nan


def length_of_run(longest: bool) -> Callable[[Rng], float]:
    def measure(rng: Rng) -> float:
        taken = accepted(lambda n: models.run_name("f" * n), range(50), RecipeError)
        return max(taken) if longest else min(taken)

    return measure


def switch(high: bool) -> Callable[[Rng], float]:
    """The largest, or smallest, digit that a switch takes."""

    def measure(rng: Rng) -> float:
        taken = accepted(lambda digit: Noised(rescale=str(digit)), range(10), RecipeError)  # type: ignore[arg-type]
        return max(taken) if high else min(taken)

    return measure


def weight_of_flat(rng: Rng) -> float:
    """An error of v, squared, over the one of x0 that it is, in SNR + 1."""
    alpha = rng.uniform(0.1, 0.99)
    sigma = (1 - alpha**2) ** 0.5
    x, off = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    right, wrong = (Prediction.of(x, alpha, sigma, x0=x0).v for x0 in (0 * off, off))
    return ((wrong - right).square().mean() / ((alpha / sigma) ** 2 + 1)).item()


def shade(grey: int) -> Callable[[Rng], float]:
    """The value that becomes this grey."""
    return lambda rng: next(x / 100 for x in range(-100, 101) if to_pixels(torch.tensor(x / 100)).item() == grey)


def alarm(rng: Rng) -> float:
    """What the deviation of two equal laws exceeds once in 75 times."""
    source = generator(rng)
    draw = lambda: torch.randn(300, 2, generator=source)  # noqa: E731
    return float(np.quantile([moment_deviation(draw(), draw()) for _ in range(2000)], 1 - 1 / 75))


def freshness(eta: float) -> Callable[[Rng], float]:
    """How much a change of the noise moves a DDIM step of this eta, beside what it does to one of DDPM, the SDE."""

    def measure(rng: Rng) -> float:
        law, schedule = drawn(rng).ours, SCHEDULES["cosine"](10)
        x = torch.from_numpy(rng.standard_normal((20, 2)))
        one, two = (torch.from_numpy(rng.standard_normal((20, 2))) for _ in range(2))

        def after(name: str, z: torch.Tensor, **options) -> torch.Tensor:
            steps = SAMPLERS[name](MixtureDenoiser(law), schedule, x, noise=lambda t: z, **options)
            return next(step.x for step in steps if step.t == 9)

        moved = after("ddim", one, eta=eta) - after("ddim", two, eta=eta)
        return (moved.norm() / (after("ddpm", one) - after("ddpm", two)).norm()).item()

    return measure


def repeated(rng: Rng) -> float:
    """How many of 10,000 training points are drawn twice where 0 are asked for; of a finite set nearly all would be."""
    x = training_set(Train(points=0), DATASETS["swiss_roll"]()).sample(10_000, generator=generator(rng))
    return len(x) - len(x.unique(dim=0))


def rescaled(rng: Rng) -> float:
    """By what beta is multiplied, times T."""
    T = int(rng.integers(50, 900))
    plain, more = (SCHEDULES["linear"](T, rescale=rescale).betas for rescale in (False, True))
    return (more / plain).mean().item() * T


def guided(rng: Rng) -> float:
    """How far weight 1 goes from the unconditional answer to the conditional one, of all that there is."""
    law = drawn(rng).ours
    one, both = MixtureDenoiser(law.given_label(0)), MixtureDenoiser(law)
    x = torch.from_numpy(rng.standard_normal((50, 2)))
    said, told, untold = (d(x, 0.6, 0.8).x0 for d in (ClassifierFree(one, both, 1.0), one, both))
    return ((said - untold).norm() / (told - untold).norm()).item()


def interval(rng: Rng) -> float:
    """How often the interval holds the excess of N(0, 1.2^2 I) under N(0, I), which is 1.2^2 - 1."""
    held = []
    for _ in range(300):
        x = 1.2 * torch.from_numpy(rng.standard_normal((300, 2)))
        low, high = bootstrap_interval(excess_nll, x, STANDARD, repeats=399, generator=generator(rng))
        held.append(low <= 1.2**2 - 1 <= high)
    return float(np.mean(held))


@lru_cache(maxsize=1)
def perfect(rng: Rng) -> float:
    """How often clouds that numpy drew are in the range of the metrics of the panel."""
    return float(np.mean([metrics.inside(METRICS[name], rng)[0] for name in PANEL]))


def end_of_signal(rng: Rng) -> float:
    return max(SCHEDULES[name](1000).alpha_bar[-1].item() for name in ("linear", "cosine", "sigmoid", "flow"))


SHARE = metrics.SIGMAS * metrics.spread_of_share()
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "0 = true, 1 = memorised": (
        Claim("0 = true", 0, position(False), 1e-9),
        Claim("1 = memorised", 1, position(True), 1e-9),
    ),
    "alt_schedule": (Claim("falls from 1", 1, ends("alpha")), Claim("rises from 0", 0, ends("sigma"))),
    "alt_whole": (Claim("At most 1", 1, strain_is_range),),
    "alt_why": (Claim("sqrt(1 - beta)", 1, shrinking(lambda s: s, lambda s: (1 - s.betas).sqrt()), 1e-9),),
    "bad_data_drawing": (
        Claim("between 0", 0, drawing_end(False)),
        Claim("and 1", 1, drawing_end(True)),
    ),
    "bad_data_text": (Claim("4 characters", 4, characters), Claim("of 2 to", 2, fewest_points)),
    "bad_data_word": (Claim("1 to", 1, shortest_word),),
    "bad_dim": (Claim("needs 2", 2, lambda rng: max(make().D for make in DATASETS.values())),),
    "bad_picture_text": (Claim("28 × 28", 28, side_of_picture),),
    "bad_run": (Claim("16 to", 16, length_of_run(False)), Claim("to 32", 32, length_of_run(True))),
    "bad_switch": (Claim("0 or", 0, switch(False)), Claim("or 1", 1, switch(True))),
    "chart_modes": (
        Claim("80%", 80, lambda rng: 100 * UNEQUAL.weights.max().item(), 1e-9),
        Claim("20%", 20, lambda rng: 100 * UNEQUAL.weights.min().item(), 1e-9),
    ),
    "chart_whole": (Claim("at most 1", 1, strain_is_range),),
    "choice_flat": (Claim("SNR + 1", 1, weight_of_flat, 1e-9),),
    "choice_unshrunk": (Claim("Without √(1−β)", 1, shrinking(unshrunk, lambda s: torch.ones_like(s.betas)), 1e-9),),
    "cut_off": (Claim("−1 is black", -1, shade(0)), Claim("1 is white", 1, shade(255))),
    "deviation": (Claim("about 3", 3, alarm, 0.5),),
    "field_churn": (Claim("0 = ODE", 0, freshness(0.0)), Claim("1 = SDE", 1, freshness(1.0), 1e-9)),
    "field_eta": (Claim("0 = ODE", 0, freshness(0.0)), Claim("1 = SDE", 1, freshness(1.0), 1e-9)),
    "field_points": (Claim("0 = unlimited", 0, repeated),),
    "field_rescale": (Claim("1000 / T", 1000, rescaled, 1e-6),),
    "field_weight": (Claim("1 = as trained", 1, guided, 1e-9),),
    "interval": (Claim("95%", 0.95, interval, metrics.SIGMAS * (0.95 * 0.05 / 300) ** 0.5),),
    "own_picture_help": (Claim("28 × 28", 28, side_of_picture),),
    "perfect_range_means": (Claim("95%", 0.95, perfect, SHARE),),
    "section_enough": (Claim("95%", 0.95, perfect, SHARE), Claim("three runs", 3, lambda rng: SEEDS)),
    "why_gaussian": (Claim("goes to 0", 0, end_of_signal, 1e-4),),
}

# The digit belongs to a name, or to a formula that says nothing by itself.
NAMES = {
    "KL(xₜ ‖ N(0, I)), nats", "choice_dpm_solver_2", "choice_dpmpp_2m", "choice_dpmpp_2m_sde", "choice_dpmpp_3m",
    "choice_one_nn_accuracy", "choice_rk4", "choice_unipc_2", "choice_unipc_3", "choice_x0", "one_nn_accuracy",
}  # fmt: skip


def numbered() -> dict[str, str]:
    """The strings of the page that hold a digit; not an index such as that of W₂."""
    return {key: text for key, text in STRINGS["en"].items() if re.search(r"\d", text)}


def unclassified() -> list[str]:
    """Strings with a digit in neither list, and entries of the lists without such a string."""
    return sorted(set(numbered()) ^ (set(CLAIMS) | NAMES))


# ---- the README ----


def benchmark(row: str, pattern: str) -> Callable[[Rng], float]:
    """The number that the table of performance has for this in the row that starts like that."""

    def measure(rng: Rng) -> float:
        lines = (ROOT / "docs" / "PERFORMANCE.md").read_text(encoding="utf-8").splitlines()
        (found,) = filter(None, (re.search(pattern, line) for line in lines if line.startswith(f"| {row}")))
        return float(found.group(1))

    return measure


def python(end: int) -> Callable[[Rng], float]:
    """The minor version that this end of requires-python allows."""

    def measure(rng: Rng) -> float:
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        low, high = re.findall(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', project, re.MULTILINE)[0]
        return int(low) if end == 0 else int(high) - 1

    return measure


def times_as_large(rng: Rng) -> float:
    text = (ROOT / "docs" / "PERFORMANCE.md").read_text(encoding="utf-8")
    ours, theirs = re.findall(r"([\d,]+) weights, CPU.*plain loop, ([\d,]+) weights", text)[0]
    return int(theirs.replace(",", "")) / int(ours.replace(",", ""))


WALK = "1000 DDPM steps of 2000 points"
README = (
    Claim("Python 3.10", 10, python(0)),
    Claim("to 3.13", 13, python(1)),
    Claim("one of twelve data sets", 12, lambda rng: len(DATASETS)),
    Claim("Up to six", 6, lambda rng: MAX_RACERS),
    Claim("of seventeen samplers", 17, lambda rng: len(RACERS)),
    Claim("0.9 s | 1.4 s", 0.9, benchmark(WALK, r"([\d.]+) s \| plain loop"), 0.05),
    Claim("1.4 s with the same network", 1.4, benchmark(WALK, r"our network: ([\d.]+) s"), 0.05),
    Claim("24 s with that of a tutorial", 24, benchmark(WALK, r"plain loop, [\d,]+ weights: ([\d.]+) s"), 0.5),
    Claim("42 times as large", 42, times_as_large, 0.5),
    Claim("| 0.021 |", 0.021, benchmark("sliced W2, swiss_roll", r"10000 \| ([\d.]+) \|"), 5e-4),
    Claim("0.021 between two clouds", 0.021, benchmark("sliced W2, swiss_roll", r"floor ([\d.]+)"), 5e-4),
    Claim("2.13 nats", 2.13, benchmark("seconds to the tutorial recipe's", r"([\d.]+) nats"), 5e-3),
    Claim("| 1.5 s |", 1.5, benchmark("seconds to the tutorial recipe's", r"nats \| ([\d.]+) s"), 0.05),
    Claim("240 s with the recipe", 240, benchmark("seconds to the tutorial recipe's", r"recipe: ([\d.]+) s"), 5),
    Claim("| 0.4 s |", 0.4, benchmark("16 pictures, 25 evaluations, CPU, bfloat16", r"\| ([\d.]+) s"), 0.05),
    Claim("1.0 s in the pipeline", 1.0, benchmark("16 pictures, 25", r"DDIMPipeline, \w+ weights: ([\d.]+) s"), 0.05),
    Claim("| 59 frames/s |", 59, benchmark("Stage, playing 5000", r"([\d.]+) frames/s"), 0.5),
    Claim("2 frames/s with", 2, benchmark("Stage, playing 5000", r"figures/s: ([\d.]+)"), 0.5),
)


# ---- all ----


def held(where: str, sentence: str, claim: Claim, rng: Rng) -> Iterator[Row]:
    """The number must still stand there, and be what is measured."""
    what = f"{where}: {claim.text.strip('| ')}"
    if claim.text not in sentence:
        yield Row(what, "not in the sentence any more", tolerance=0.0)
        return
    yield compared(what, "measured", claim.says, float(claim.measure(rng)), claim.tolerance)


def rows(rng: Rng) -> Iterator[Row]:
    for key in unclassified():
        yield Row(key, "neither in CLAIMS nor in NAMES, or without a number", tolerance=0.0)
    for key, claims in CLAIMS.items():
        for claim in claims:
            yield from held(key, STRINGS["en"].get(key, ""), claim, rng)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for claim in README:
        yield from held("README", readme, claim, rng)
