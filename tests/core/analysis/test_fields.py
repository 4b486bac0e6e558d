import pytest
import torch
from core_common import close, normal

from ddpm_core import DATASETS, MixtureDenoiser, Prediction, load_checkpoint
from ddpm_core.analysis.fields import conversion_residual, drift_fields, pixel_centres
from ddpm_core.schedules import cosine

LEVELS = [(0.8, 0.6), (1.0, 5.0), (0.3, 0.7), (0.995, 0.1)]


@pytest.mark.parametrize("side", [1, 2, 7])
def test_pixels_tile_the_square(side):
    """Rows go up in y, columns in x; the outer pixels end where the square does."""
    points = pixel_centres(3.0, side).view(side, side, 2)
    pixel = 6.0 / side
    for i in range(side):
        for j in range(side):
            close(points[i, j], [-3 + (j + 0.5) * pixel, -3 + (i + 0.5) * pixel])


def test_a_density_sums_to_one_over_the_pixels():
    points, law = pixel_centres(6.0, 60), DATASETS["eight_gaussians"]().noised(0.8, 0.6)
    close(law.log_prob(points).exp().sum() * (12 / 60) ** 2, 1.0, 1e-9)


@pytest.mark.parametrize("alpha, sigma", LEVELS)
@pytest.mark.parametrize("dtype, bound", [(torch.float64, 2e-14), (torch.float32, 1e-5)])
def test_conversions_cost_round_off_alone(alpha, sigma, dtype, bound):
    """The views are one quantity; what a conversion loses is no property of a model."""
    x = normal(500, 2).to(dtype)
    exact = MixtureDenoiser(DATASETS["two_moons"]())(x, alpha, sigma)
    told = [Prediction.of(x, alpha, sigma, **{view: getattr(exact, view)}) for view in ("x0", "eps", "v", "score")]
    assert all(conversion_residual(prediction) < bound for prediction in [exact, *told])
    assert any(conversion_residual(prediction) > 0 for prediction in told)
    assert conversion_residual(load_checkpoint("two_moons")(x.float(), alpha, sigma)) < 1e-5


@pytest.mark.parametrize("view", ["x0", "v", "score"])
def test_a_conversion_that_is_wrong_shows(view, monkeypatch):
    """The number beside the fields has to find a wrong sign."""
    prediction = Prediction.of(normal(5, 2), 0.8, 0.6, eps=normal(5, 2, seed=2))
    right = vars(Prediction)[view]
    value = right.func if hasattr(right, "func") else right.fget
    monkeypatch.setattr(Prediction, view, property(lambda self: value(self) * 1.001))
    assert conversion_residual(prediction) > 1e-4


@pytest.mark.parametrize("alpha, sigma, view", [(0.0, 1.0, "v"), (1.0, 0.0, "v")])
def test_at_the_ends_there_is_no_way_round(alpha, sigma, view):
    with pytest.raises(ValueError, match="undefined"):
        conversion_residual(Prediction.of(normal(5, 2), alpha, sigma, **{view: normal(5, 2)}))


def test_ink_obeys_the_continuity_equation():
    """dp/dt = -div(p current): the left side from two neighbouring times, the right one by central differences."""
    schedule, side, view = cosine(2000), 200, 4.0
    mixture, t = DATASETS["eight_gaussians"](), 700
    points, h = pixel_centres(view, side), 2 * view / side

    def density(t):
        return (
            mixture.noised(schedule.alpha[t].item(), schedule.sigma[t].item()).log_prob(points).exp().view(side, side)
        )

    rate = (density(t + 1) - density(t - 1)) / 2
    prediction = MixtureDenoiser(mixture)(points, schedule.alpha[t].item(), schedule.sigma[t].item())
    beta = schedule.betas[t - 1 : t + 1].mean().item()  # the steps into t and out of it
    flux = density(t)[..., None] * drift_fields(prediction, beta).current.view(side, side, 2)
    (dx,), (dy,) = torch.gradient(flux[..., 0], spacing=h, dim=1), torch.gradient(flux[..., 1], spacing=h, dim=0)
    inner = (slice(2, -2), slice(2, -2))
    assert ((dx + dy) + rate)[inner].abs().max() < 0.01 * rate.abs().max()


def test_the_way_back_undoes_the_way_there():
    """Its drift and what its own noise spreads make minus the current (Anderson 1982)."""
    x = normal(50, 2)
    moves = drift_fields(MixtureDenoiser(DATASETS["ink_drop"]())(x, 0.8, 0.6), 0.01)
    close(moves.unmixing + moves.diffusion, -moves.current)
