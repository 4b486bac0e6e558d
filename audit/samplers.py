"""Every sampler of the registry against somebody else's, particle by particle, on a mixture that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from audit import by_paper, libraries
from audit.law import Array, Law, drawn
from audit.row import Row, compared, missing
from audit.walk import PATHS, Walk
from ddpm_core import SAMPLERS, exact_flow
from ddpm_core.samplers.registry import TRAITS, steps_for

PARTICLES = 60
ROUNDING = 1e-8  # of two programs in float64, after a path that may divide
SINGLE = 2e-5  # tables in single precision
FINITE = ("karras", "linear")  # paths on which every stride is finite and short enough for all


class Trial(NamedTuple):
    """One sampler, its judge, and the paths on which the ends of the two are compared."""

    sampler: str
    judge: Callable[[Walk], Array]
    paths: tuple[str, ...] = FINITE
    options: Mapping[str, Any] = {}
    tolerance: float = ROUNDING


def paper(sampler: str, judge: Callable[..., Array], paths: tuple[str, ...] = FINITE, **options: Any) -> Trial:
    """Options are the lab's and the judge's."""
    return Trial(sampler, partial(judge, **options), paths, options)


def azula(sampler: str, kind: str, ours: Mapping = {}, **theirs: Any) -> Trial:
    paths = (*FINITE, "cosine")
    return Trial(sampler, partial(libraries.with_azula, kind=kind, **theirs), paths, ours)


def diffusers(sampler: str, kind: str, ours: Mapping = {}, **theirs: Any) -> Trial:
    judge = partial(libraries.with_diffusers, kind=kind, **theirs)
    return Trial(sampler, judge, ("linear",), ours, SINGLE)


def k_diffusion(sampler: str, kind: str, ours: Mapping = {}, **theirs: Any) -> Trial:
    return Trial(sampler, partial(libraries.with_k_diffusion, kind=kind, **theirs), ("karras",), ours)


OPEN: dict[str, Any] = {"final_sigmas_type": "sigma_min"}  # else its last step is of first order
TRIALS = [
    *(paper("ddpm", by_paper.bayes, tuple(PATHS), variance=v) for v in ("beta", "beta_tilde", "optimal")),
    azula("ddpm", "DDPM"),
    *(paper("ddim", by_paper.ddim, ("linear", "cosine"), eta=eta) for eta in (0.0, 0.5, 1.0)),
    *(azula("ddim", "DDIM", {"eta": eta}, eta=eta**2) for eta in (0.0, 0.5, 1.0)),  # theirs multiplies the variance
    Trial("euler", by_paper.ddim, ("linear", "cosine")),
    azula("euler", "Euler"),
    k_diffusion("euler", "euler"),
    Trial("euler_velocity", by_paper.velocity, ("flow", "karras")),
    Trial("heun", partial(by_paper.runge_kutta, tableau=by_paper.HEUN)),
    Trial("heun", partial(libraries.with_azula, kind="Heun"), FINITE),
    k_diffusion("heun", "heun"),
    Trial("dpm_solver_2", by_paper.middle),
    k_diffusion("dpm_solver_2", "dpm_2"),
    Trial("rk4", partial(by_paper.runge_kutta, tableau=by_paper.KUTTA)),
    Trial("adams_bashforth", partial(by_paper.multistep_noise, order=2, of_rho=True)),
    azula("adams_bashforth", "zAB", order=2),
    k_diffusion("adams_bashforth", "lms", order=2),
    Trial("deis", partial(by_paper.multistep_noise, order=3, of_rho=False)),
    azula("deis", "zEAB", order=3),
    diffusers("deis", "DEISMultistep", solver_order=3),
    Trial("dpmpp_2m", partial(by_paper.multistep_data, order=2)),
    diffusers("dpmpp_2m", "DPMSolverMultistep", algorithm_type="dpmsolver++", **OPEN),
    k_diffusion("dpmpp_2m", "dpmpp_2m"),
    Trial("dpmpp_3m", partial(by_paper.multistep_data, order=3)),
    Trial("unipc_2", partial(by_paper.predict_and_correct, order=2)),
    diffusers("unipc_2", "UniPCMultistep", solver_order=2),
    Trial("unipc_3", partial(by_paper.predict_and_correct, order=3)),
    diffusers("unipc_3", "UniPCMultistep", solver_order=3),
    paper("adaptive", by_paper.bogacki_shampine, tuple(PATHS), tolerance=1e-3),
    paper("adaptive", by_paper.bogacki_shampine, ("flow",), tolerance=1e-5),
    *(paper("paradigms", by_paper.picard, tuple(PATHS), sweeps=k) for k in (1, 10)),
    Trial("paradigms", partial(libraries.with_azula, kind="Euler"), FINITE, {"sweeps": 200}),
    Trial("euler_ancestral", by_paper.ancestral),
    azula("euler_ancestral", "DDPM"),
    k_diffusion("euler_ancestral", "euler_ancestral"),
    Trial("dpmpp_2m_sde", by_paper.multistep_sde),
    diffusers("dpmpp_2m_sde", "DPMSolverMultistep", algorithm_type="sde-dpmsolver++", **OPEN),
    k_diffusion("dpmpp_2m_sde", "dpmpp_2m_sde", solver_type="midpoint"),
    *(paper("edm_stochastic", by_paper.stirred_heun, churn=churn) for churn in (5.0, 40.0)),
    k_diffusion("edm_stochastic", "heun", {"churn": 5.0, "churn_min": 0.003}, s_churn=5.0, s_tmin=0.003),
    *(paper("langevin_pc", by_paper.corrected, tuple(PATHS), correction=c) for c in (0.1, 1.0)),
]


def named(judge: Callable[[Walk], Array]) -> str:
    """Who judges: a sampler of a library, or the formula of a paper."""
    function = getattr(judge, "func", judge)
    if function.__module__ == libraries.__name__:
        library = function.__name__.removeprefix("with_")
        return f"{library} {judge.keywords['kind']}"  # type: ignore[attr-defined]
    return f"numpy {function.__name__}"


def rows(rng: np.random.Generator, samplers: Mapping[str, Callable] = SAMPLERS) -> Iterator[Row]:
    """Of every sampler its trials, one path after the other; then orders, and the flow itself."""
    law = drawn(rng)
    walks = {path: Walk.on(path, law, rng, PARTICLES) for path in PATHS}
    for name, sampler in samplers.items():
        yield from trials(name, sampler, walks)
    yield from orders(rng, samplers)
    yield from flows(walks)


def trials(name: str, sampler: Callable, walks: Mapping[str, Walk]) -> Iterator[Row]:
    """One sampler against all of its judges, on those of its paths that are walked."""
    mine = [trial for trial in TRIALS if trial.sampler == name]
    if not mine:
        yield missing(name)
    for trial in mine:
        if named(trial.judge).startswith("k_diffusion") and not libraries.k_diffusion():
            yield missing(name, f"{named(trial.judge)}: not installed")
            continue
        for path in trial.paths:
            if path in walks:
                yield particles(trial, sampler, walks[path])


def size(x: Array) -> float:
    """Root mean square distance from the origin."""
    return float(np.sqrt(np.square(x).sum(1).mean()))


def particles(trial: Trial, sampler: Callable, walk: Walk) -> Row:
    said = walk.ours(trial.sampler, trial.options, sampler=sampler)
    theirs = trial.judge(walk)
    options = "".join(f", {key} {value}" for key, value in trial.options.items())
    largest = float(np.linalg.norm(said - theirs, axis=1).max())
    what = f"{trial.sampler}{options}: {walk.path}"
    return Row(what, named(trial.judge), size(said), size(theirs), largest, trial.tolerance)


def orders(rng: np.random.Generator, samplers: Mapping[str, Callable]) -> Iterator[Row]:
    """On one Gaussian, from lam = -5 to 2.5 in even steps: the largest error over the levels, of which the slope.

    There the flow is known: x_t = alpha_t m + R_t R_T^-1 (x_T - alpha_T m) with R = (alpha^2 C + sigma^2 I)^(1/2).
    """
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    variances, mean, z = rng.uniform(0.2, 0.8, 2), rng.standard_normal(2), rng.standard_normal((50, 2))
    law = Law(np.ones(1), mean[None], (turn * variances @ turn.T)[None])

    def error(name: str, nfe: int) -> float:
        T = steps_for(name, nfe)
        bar = 1 / (1 + np.exp(-2 * np.linspace(2.5, -5, T)))
        alpha, sigma = np.append(1.0, np.sqrt(bar)), np.append(0.0, np.sqrt(1 - bar))
        walk = Walk(law, alpha, sigma, np.broadcast_to(z, (T + 1, *z.shape)))
        width = np.sqrt(alpha[:, None] ** 2 * variances + sigma[:, None] ** 2)
        turned = (walk.start - alpha[-1] * mean) @ turn / width[-1]
        steps = walk.steps(name, {}, samplers[name])
        return max(size(x - alpha[t] * mean - turned * width[t] @ turn.T) for t, x in steps if t > 0)

    for name in samplers:
        traits = TRAITS.get(name)
        if traits and traits.order and traits.per_step:
            counts = [160, 320]
            slope = -np.polyfit(np.log(counts), np.log([error(name, nfe) for nfe in counts]), 1)[0]
            yield compared(f"order of {name}", "closed form", float(slope), traits.order, 0.2)


def flows(walks: Mapping[str, Walk]) -> Iterator[Row]:
    """The exact flow of the lab, and its adaptive solver, against DOP853; by the median, as few paths divide."""
    for path, walk in walks.items():
        truth = by_paper.exact(walk)[-1]
        said = exact_flow(walk.law.ours, libraries.torch_of(walk.start), walk.schedule).numpy()
        off = float(np.median(np.linalg.norm(said - truth, axis=1)))
        yield Row(f"exact flow: {path}", "scipy DOP853", size(said), size(truth), off, 1e-5)
        for tolerance in (1e-3, 1e-5):
            said = walk.ours("adaptive", {"tolerance": tolerance})
            off = float(np.median(np.linalg.norm(said - truth, axis=1)))
            what = f"adaptive, tolerance {tolerance}: {path}"
            yield Row(what, "scipy DOP853", size(said), size(truth), off, 10 * tolerance)
