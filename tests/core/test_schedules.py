import math

import numpy as np
import pytest
import torch
from core_common import close, normal, trig
from diffusers import DDIMScheduler, EDMEulerScheduler, FlowMatchEulerDiscreteScheduler
from scipy import stats

from ddpm_core import SCHEDULES, SPACINGS, Schedule, from_betas
from ddpm_core.schedules import constant, even_in_lam, unshrunk

VARIANCE_PRESERVING = [name for name in SCHEDULES if name not in ("karras", "flow")]
HAS_BETA_RANGE = ["linear", "scaled_linear"]
IN_DIFFUSERS = {"linear": "linear", "scaled_linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}


# ---- what every schedule is ----


@pytest.mark.parametrize("T", [1, 2, 10, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_goes_from_data_towards_noise(name, T):
    """Every sampler divides by differences of these levels."""
    s = SCHEDULES[name](T)
    assert s.T == T and s.alpha.dtype == s.sigma.dtype == torch.float64
    assert (s.alpha[0], s.sigma[0], s.alpha_bar[0], s.lam[0]) == (1, 0, 1, math.inf)
    assert (s.alpha_bar.diff() < 0).all() and (s.lam.diff() < 0).all()
    assert (s.alpha_bar[1:-1] > 0).all() and s.alpha_bar[-1] >= 0 and ((s.betas > 0) & (s.betas <= 1)).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_share_and_log_snr_are_one_quantity(name):
    """alpha_bar = sigmoid(2 lam): two names, one number."""
    s = SCHEDULES[name](100)
    close(torch.sigmoid(2 * s.lam), s.alpha_bar)
    close(s.terminal_snr, math.exp(2 * s.lam[-1].item()))


@pytest.mark.parametrize("name", VARIANCE_PRESERVING)
def test_preserves_variance(name):
    """Data of variance 1 keep it: what the networks see has one scale."""
    s = SCHEDULES[name](1000)
    close(s.alpha**2 + s.sigma**2, torch.ones_like(s.alpha))
    close(s.alpha_bar[1:], (1 - s.betas).cumprod(0))
    close(from_betas(s.betas).alpha, s.alpha)


def test_flow_is_straight():
    """A straight path is what flow matching is about."""
    s = SCHEDULES["flow"](50)
    close(s.alpha + s.sigma, torch.ones(51, dtype=torch.float64))
    close(s.sigma.diff(), torch.full((50,), 1 / 50, dtype=torch.float64))
    assert s.terminal_snr == 0


@pytest.mark.parametrize("start, end, tau", [(-3, 3, 1.0), (0, 3, 0.7), (-3, 1, 1.1)])
def test_sigmoid_is_the_survival_of_a_logistic_variable(start, end, tau):
    """alpha_bar(u) = P(X > start + u (end - start)) for X logistic of scale tau and confined to start .. end."""
    options = {} if (start, end, tau) == (-3, 3, 1.0) else dict(start=start, end=end, tau=tau)  # the first: by default
    x = np.linspace(start, end, 101)
    below = stats.logistic(scale=tau).cdf(x)
    expected = (below[-1] - below) / (below[-1] - below[0])
    close(SCHEDULES["sigmoid"](100, **options).alpha_bar[:-1], expected[:-1])  # the last beta is capped


@pytest.mark.parametrize("T", [50, 1000])
@pytest.mark.parametrize("name", IN_DIFFUSERS)
def test_betas_agree_with_diffusers(name, T):
    """To the float32 rounding of diffusers' tables."""
    ours = SCHEDULES[name](T)
    first, final = ours.betas[[0, -1]].tolist()
    theirs = DDIMScheduler(T, beta_start=first, beta_end=final, beta_schedule=IN_DIFFUSERS[name])
    torch.testing.assert_close(ours.betas.float(), theirs.betas, rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(ours.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=2e-4, atol=0)


@pytest.mark.parametrize("name, beta_start, beta_end", [("linear", 1e-4, 0.02), ("scaled_linear", 0.00085, 0.012)])
def test_default_beta_range_is_that_of_the_paper(name, beta_start, beta_end):
    """Ho et al. (2020), section 4."""
    betas = SCHEDULES[name]().betas
    assert len(betas) == 1000
    close(betas[[0, -1]], torch.tensor([beta_start, beta_end], dtype=torch.float64))


def test_karras_agrees_with_diffusers():
    ours = SCHEDULES["karras"](40, 0.01, 50.0, rho=5.0)
    theirs = EDMEulerScheduler(sigma_min=0.01, sigma_max=50.0, rho=5.0)
    theirs.set_timesteps(40)
    torch.testing.assert_close(ours.sigma.flip(0).float(), theirs.sigmas, rtol=1e-6, atol=0)
    assert (ours.alpha == 1).all()
    close(ours.sigma[[1, -1]], torch.tensor([0.01, 50.0], dtype=torch.float64))


def test_flow_agrees_with_diffusers():
    theirs = FlowMatchEulerDiscreteScheduler(num_train_timesteps=50)
    theirs.set_timesteps(50)
    torch.testing.assert_close(SCHEDULES["flow"](50).sigma.flip(0).float(), theirs.sigmas, rtol=0, atol=1e-7)


# ---- the beta range and T ----


def test_rescaled_linear_has_the_continuous_limit():
    """beta(t) from 0.1 to 20 (Score SDE): alpha_bar_T -> exp(-(0.1 + 20) / 2), and a tenfold T is ten times nearer."""
    gap = [-SCHEDULES["linear"](T, rescale=True).alpha_bar[-1].log().item() - 10.05 for T in (1000, 10_000)]
    assert 0 < gap[1] < 0.02 and gap[0] / gap[1] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("name", HAS_BETA_RANGE)
def test_rescale_frees_the_end_from_T(name):
    """Short schedules must end in noise as well, or sampling starts from a wrong law."""
    make = SCHEDULES[name]
    ends = {rescale: [make(T, rescale=rescale).lam[-1].item() for T in (50, 200, 1000, 4000)] for rescale in (0, 1)}
    assert max(ends[1]) - min(ends[1]) < 1 < 4 < max(ends[0]) - min(ends[0])
    assert (make(1000, rescale=True).alpha == make(1000).alpha).all()


@pytest.mark.parametrize("T", [1, 2, 10, 20, 21])
@pytest.mark.parametrize("name", HAS_BETA_RANGE)
def test_rescale_holds_for_few_steps(name, T):
    assert (SCHEDULES[name](T, rescale=True).betas < 1).all()


@pytest.mark.parametrize("T", [0, -1])
@pytest.mark.parametrize(
    "name, options", [(n, {}) for n in SCHEDULES] + [(n, {"rescale": True}) for n in HAS_BETA_RANGE]
)
def test_T_below_one_is_refused_by_name(name, options, T):
    with pytest.raises(ValueError, match=r"\bT\b"):
        SCHEDULES[name](T, **options)


@pytest.mark.parametrize("low, high", [(0.0, 0.02), (-0.1, 0.02), (0.02, 1.0), (0.02, 0.01), (math.nan, 0.02)])
@pytest.mark.parametrize("name", HAS_BETA_RANGE)
def test_impossible_beta_range_is_refused_by_name(name, low, high):
    with pytest.raises(ValueError, match=r"beta_min.*beta_max"):
        SCHEDULES[name](10, low, high)


@pytest.mark.parametrize("low, high", [(0.0, 80.0), (-1.0, 80.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)])
def test_impossible_sigma_range_is_refused_by_name(low, high):
    with pytest.raises(ValueError, match=r"sigma_min.*sigma_max"):
        SCHEDULES["karras"](10, low, high)


@pytest.mark.parametrize("rho", [0.0, math.nan])
def test_impossible_rho_is_refused(rho):
    with pytest.raises(ValueError, match="rho"):
        SCHEDULES["karras"](10, rho=rho)


@pytest.mark.parametrize("name", ["cosine", "sigmoid", "flow"])
def test_unknown_options_are_refused(name):
    with pytest.raises(TypeError):
        SCHEDULES[name](10, beta_max=0.02)


@pytest.mark.parametrize(
    "alpha, sigma, says",
    [
        ([1.0], [0.0], "length"),
        ([1.0, 0.5], [0.0, 0.5, 0.6], "length"),
        ([0.9, 0.5], [0.0, 0.5], "starts"),
        ([1.0, 0.5], [0.1, 0.5], "starts"),
        ([1.0, 0.5, 0.5], [0.0, 0.5, 0.5], "fall"),  # rests
        ([1.0, 0.5, 0.9], [0.0, 0.5, 0.5], "fall"),  # turns back
        ([1.0, 0.0, 0.0], [0.0, 1.0, 2.0], "fall"),  # nothing is left to lose
        ([1.0, -0.5], [0.0, 0.5], "alpha >= 0"),
        ([1.0, math.nan], [0.0, 0.5], "finite"),
        ([1.0, 0.5], [0.0, math.inf], "finite"),
    ],
)
def test_what_is_not_a_path_is_refused(alpha, sigma, says):
    with pytest.raises(ValueError, match=says):
        Schedule(torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))


def test_float32_is_refused():
    with pytest.raises(ValueError, match="float64"):
        Schedule(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5]))


# ---- coarser schedules ----


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 50, 250, 999, 1000])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
def test_subsample_keeps_the_levels_that_diffusers_keeps(spacing, steps):
    """Index t here is timestep t - 1 there."""
    theirs = DDIMScheduler(num_train_timesteps=1000, timestep_spacing=spacing)
    theirs.set_timesteps(steps)
    full = SCHEDULES["linear"](1000)
    kept = full.subsample(steps, spacing)
    assert torch.searchsorted(-full.alpha, -kept.alpha)[1:].tolist() == [t + 1 for t in theirs.timesteps.tolist()[::-1]]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_subsample_is_a_schedule_of_kept_levels(name, spacing):
    """Some paths are known at their levels only."""
    full = SCHEDULES[name](23)
    for steps in range(1, 24):
        coarse = full.subsample(steps, spacing)
        assert steps == coarse.T and torch.isin(coarse.lam, full.lam).all()
        assert coarse.lam[-1] == full.lam[-1] or spacing == "leading" or steps == 1
    assert torch.equal(coarse.alpha, full.alpha) and torch.equal(coarse.sigma, full.sigma)


VARIABLES = {"uniform_lam": lambda s: s.lam, "karras": lambda s: -((-s.lam / 7).exp())}


@pytest.mark.parametrize("spacing, variable", VARIABLES.items())
def test_spacings_are_even_in_their_variable(spacing, variable):
    """To within the distance of the levels that there are to choose from."""
    full = SCHEDULES["cosine"](1000)
    grid, apart = variable(full.subsample(12, spacing))[1:], variable(full)[1:].diff().abs()
    steps = grid.diff()
    assert (steps - steps.mean()).abs().max() < 2 * apart.max()
    coarse = variable(full.subsample(12, "trailing"))[1:].diff()
    assert steps.std() < coarse.std()


def test_subsample_of_a_subsample_is_a_subsample():
    s = SCHEDULES["cosine"](1000)
    assert torch.equal(s.subsample(200).subsample(20).alpha, s.subsample(20).alpha)


@pytest.mark.parametrize("steps", [0, -1, 11])
def test_subsample_names_the_range_of_steps(steps):
    with pytest.raises(ValueError, match=r"steps.*1.*10"):
        SCHEDULES["flow"](10).subsample(steps)


def test_subsample_lists_the_known_spacings():
    with pytest.raises(KeyError, match=r"trailing.*leading.*linspace"):
        SCHEDULES["flow"](10).subsample(5, "even")


# ---- the forward process ----


@pytest.mark.parametrize("name", SCHEDULES)
def test_transitions_compose(name):
    """Chapman-Kolmogorov: the kernel s -> t is s -> u followed by u -> t; from data it is the closed form."""
    s = SCHEDULES[name](12)
    kernel = {(i, j): s.transition(i, j) for j in range(1, 13) for i in range(j)}
    for (i, j), (ratio, std) in kernel.items():
        for u in range(i + 1, j):
            (r1, d1), (r2, d2) = kernel[i, u], kernel[u, j]
            close((r1 * r2, math.hypot(r2 * d1, d2)), (ratio, std), 1e-10)
    for t in range(1, 13):
        close(kernel[0, t], (s.alpha[t], s.sigma[t]))
        if name in VARIANCE_PRESERVING:
            close(kernel[t - 1, t][1] ** 2, s.betas[t - 1].item())


@pytest.mark.parametrize("s, t", [(3, 3), (4, 3), (-1, 3), (0, 11)])
def test_transition_names_the_range_of_times(s, t):
    with pytest.raises(ValueError, match="0 <= s < t <= 10"):
        SCHEDULES["flow"](10).transition(s, t)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_chain_has_the_closed_form_marginals(name, gaussian, generator):
    """Mean and covariance of t iterated steps are those of one jump, within 5 standard errors, at every t.

    The jump is how networks learn, the chain what they undo. A jump that is off by one index is noticed.
    """
    s = SCHEDULES[name](30, **({"rescale": True} if name in HAS_BETA_RANGE else {}))
    n, x, noticed = 20_000, gaussian.sample(20_000, generator=generator), 0

    def agrees(t):
        law = gaussian.noised(s.alpha[t].item(), s.sigma[t].item())
        C = law.covariance
        error = ((C.diagonal()[:, None] * C.diagonal() + C**2) / n).sqrt()  # of a Gaussian's sample covariance
        mean = (x.mean(0) - law.mean).abs() < 5 * (C.diagonal() / n).sqrt()
        return bool(mean.all() and ((x.T.cov() - C).abs() < 5 * error).all())

    for t in range(1, s.T + 1):
        x = s.step(x, t, torch.randn(x.shape, generator=generator, dtype=torch.float64))
        assert agrees(t), t
        noticed += not agrees(t - 1)
    assert noticed > s.T / 2


def test_jump_adds_signal_and_noise():
    """It is linear in both, for images as for points."""
    s = SCHEDULES["karras"](10)
    x0, eps = normal(2, 5, 3)
    for t in range(11):
        close(s.jump(x0, t, eps), s.jump(x0, t, 0 * eps) + s.jump(0 * x0, t, eps))
    assert torch.equal(s.jump(x0, 0, eps), x0)


# ---- slopes ----


def test_slopes_of_an_affine_path_are_exact():
    """The velocity of flow matching has no error there."""
    _, d_alpha, d_sigma = SCHEDULES["flow"](10).path
    close(d_alpha, torch.full((11,), -0.1, dtype=torch.float64))
    close(d_sigma, torch.full((11,), 0.1, dtype=torch.float64))


def test_slopes_are_of_second_order():
    """On (cos, sin) the slopes per unit of angle are (-sin, cos); halving the spacing quarters the error, ends too."""

    def error(T):
        s = trig(T)
        (_, d_alpha, d_sigma), per_angle = s.path, 2 * T / torch.pi
        return torch.stack([d_alpha * per_angle + s.sigma, d_sigma * per_angle - s.alpha]).abs().amax().item()

    assert error(100) < 1e-3 and math.log2(error(100) / error(200)) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_slopes_exist_for_a_single_step(name):
    _, d_alpha, d_sigma = SCHEDULES[name](1).path
    assert d_alpha.shape == d_sigma.shape == (2,) and d_sigma[1] > 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_slopes_are_those_of_the_curve(name):
    """Whichever way a family knows them, they agree with the differences between neighbours."""
    s, at = SCHEDULES[name](400), torch.tensor([100, 200, 300])
    for curve, slope in zip((s.alpha, s.sigma), s.path[1:], strict=True):
        close(slope[at], (curve[at + 1] - curve[at - 1]) / 2, 1e-3 * slope[at].abs().max().item())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_fewer_levels_lie_on_the_same_path(name, spacing):
    full = SCHEDULES[name](50)
    few = full.subsample(7, spacing)
    at = few.path.time.long()
    assert torch.equal(few.alpha, full.alpha[at]) and torch.equal(few.sigma, full.sigma[at])
    assert all(torch.equal(part, whole[at]) for part, whole in zip(few.path, full.path, strict=True))


@pytest.mark.parametrize("T", [2, 40, 2000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_chains_that_are_made_otherwise(name, T):
    """Without the shrinking the variances of the steps add up; with constant beta the end is the same."""
    schedule = SCHEDULES[name](T)
    grown, even = unshrunk(schedule), constant(schedule)
    for t in (1, T // 2, T):
        assert grown.transition(t - 1, t) == pytest.approx((1, schedule.betas[t - 1].item() ** 0.5))
    assert grown.sigma[-1] ** 2 == pytest.approx(schedule.betas.sum().item())
    assert even.betas.max() - even.betas.min() < 1e-9
    end = max(schedule.alpha_bar[-1].item(), torch.finfo(torch.float64).eps)  # the flow ends at 0
    assert even.alpha_bar[-1].item() == pytest.approx(end, rel=1e-9)


def test_levels_even_in_lam_preserve_the_variance():
    schedule = even_in_lam(6, -4.0, 3.5)
    close(schedule.lam[1:], torch.linspace(3.5, -4.0, 6, dtype=torch.float64))
    close(schedule.scale, torch.ones(7))
