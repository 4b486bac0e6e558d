"""The audit in small: each sampler against its judges, on two paths, from a mixture that numpy draws."""

from dataclasses import replace

import numpy as np
import pytest

from audit import law, metrics, samplers
from audit.row import MARKS
from audit.walk import Walk
from ddpm_core import METRICS, SAMPLERS, Schedule

# numpy's complaints about how diffusers makes and reads its tables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation", "ignore:__array_wrap__ must accept")


@pytest.fixture(scope="module")
def walks():
    rng = np.random.default_rng(0)
    drawn = law.drawn(rng)
    return {path: Walk.on(path, drawn, rng, 6) for path in ("karras", "linear")}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_ends_where_its_judges_end(name, walks):
    """Somebody else's program, or the formula of the paper in numpy; k-diffusion only where it is installed."""
    rows = samplers.trials(name, SAMPLERS[name], walks)
    assert {row.agrees for row in rows} - {None} == {True}


@pytest.mark.parametrize("name", SAMPLERS)
def test_other_levels_are_noticed_by_every_judge(name, walks):
    """A twentieth more noise at each: what single precision hides is far below."""

    def slipped(denoiser, schedule, x_T, **options):
        return SAMPLERS[name](denoiser, Schedule(schedule.alpha, 1.05 * schedule.sigma), x_T, **options)

    path = "karras" if name == "euler_velocity" else "linear"
    rows = samplers.trials(name, slipped, {path: walks[path]})
    assert {row.agrees for row in rows} - {None} == {False}


def test_what_nobody_judges_is_missing(walks):
    """Not silently left out."""
    (row,) = samplers.trials("a new one", SAMPLERS["ddim"], walks)
    assert MARKS[row.agrees] == "missing"
    made = metrics.rows(np.random.default_rng(0), {"a new one": METRICS["strong_error"]})
    assert [MARKS[row.agrees] for row in made] == ["missing"]


def test_a_law_is_the_same_in_numpy():
    assert all(row.agrees for row in law.rows(np.random.default_rng(0)))


def test_a_wrong_law_is_noticed(walks):
    other = replace(walks["karras"], law=law.drawn(np.random.default_rng(1)))
    assert np.abs(other.ours("ddim", {}) - walks["karras"].ours("ddim", {})).max() > 1e-2
