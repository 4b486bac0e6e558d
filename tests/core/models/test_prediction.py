import math

import pytest
import torch
from core_common import close, normal

from ddpm_core import Prediction

VIEWS = ("x0", "eps", "v", "score")
LEVELS = {
    "variance preserving": (math.cos(0.7), math.sin(0.7)),
    "variance exploding": (1.0, 7.0),
    "flow": (0.3, 0.7),
    "nearly data": (1.0, 1e-2),
    "nearly noise": (1e-2, 1.0),
    "one level a row": (torch.linspace(0.1, 1, 5).double()[:, None], torch.linspace(0.9, 0.2, 5).double()[:, None]),
}


@pytest.fixture
def pair():
    return normal(2, 5, 3)  # x0, eps


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("given", VIEWS)
def test_any_view_gives_back_the_point_and_the_noise(given, level, pair):
    """The five views are one prediction: none of them loses anything."""
    (x0, eps), (alpha, sigma) = pair, LEVELS[level]
    x = alpha * x0 + sigma * eps
    source = Prediction.of(x, alpha, sigma, x0=x0)
    prediction = Prediction.of(x, alpha, sigma, **{given: getattr(source, given)})
    close(prediction.x0, x0, 1e-10)
    close(prediction.eps, eps, 1e-10)
    for view in VIEWS:
        close(getattr(prediction, view), getattr(source, view), 1e-10)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("given", VIEWS)
def test_any_view_can_be_blended_with_the_point(given, level, pair):
    (x0, eps), (alpha, sigma) = pair, LEVELS[level]
    x = alpha * x0 + sigma * eps
    prediction = Prediction.of(x, alpha, sigma, **{given: getattr(Prediction.of(x, alpha, sigma, x0=x0), given)})
    for of_x, of_x0 in [(0.3, -1.7), (0.0, 1.0), (1.0, 0.0), (0, 2), (alpha, sigma)]:
        x_before, value_before = x.clone(), prediction.value.clone()
        close(prediction.blend(of_x, of_x0), of_x * x + of_x0 * x0, 1e-10)
        assert x.equal(x_before) and prediction.value.equal(value_before)


@pytest.mark.parametrize("level", LEVELS)
def test_x_and_v_are_x0_and_eps_turned_and_stretched(level, pair):
    """(x, v) is (x0, eps) turned by atan2(sigma, alpha) and stretched by hypot(alpha, sigma)."""
    (x0, eps), (alpha, sigma) = pair, LEVELS[level]
    x = alpha * x0 + sigma * eps
    v = Prediction.of(x, alpha, sigma, eps=eps).v
    close(x * x0 + v * eps, alpha * (x0**2 + eps**2))
    close(x * eps - v * x0, sigma * (x0**2 + eps**2))


def test_score_is_the_gradient_of_the_corruption(pair):
    """grad_x log N(x; alpha x0, sigma^2 I) for the one x0 that x came from."""
    (x0, eps), (alpha, sigma) = pair, LEVELS["flow"]
    x = (alpha * x0 + sigma * eps).requires_grad_()
    torch.distributions.Normal(alpha * x0, sigma).log_prob(x).sum().backward()
    close(Prediction.of(x.detach(), alpha, sigma, x0=x0).score, x.grad)


PATHS = {
    "trig": lambda t: (torch.cos(t), torch.sin(t)),
    "flow": lambda t: (1 - t, t),
    "exploding": lambda t: (t**0, t**3),
    "neither": lambda t: (torch.exp(-t), torch.tanh(t)),
}


@pytest.mark.parametrize("given", VIEWS)
@pytest.mark.parametrize("path", PATHS)
def test_velocity_is_the_slope_of_the_path(path, given, pair):
    """Against a central difference of x(t) = alpha(t) x0 + sigma(t) eps."""
    (x0, eps), t, h = pair, torch.tensor(0.6, dtype=torch.float64, requires_grad=True), 1e-4
    alpha, sigma = PATHS[path](t)
    slopes = [torch.autograd.grad(c, t, retain_graph=True)[0] for c in (alpha, sigma)]
    with torch.no_grad():
        before, x, after = (a * x0 + s * eps for a, s in map(PATHS[path], (t - h, t, t + h)))
    source = Prediction.of(x, alpha.item(), sigma.item(), x0=x0)
    prediction = Prediction.of(x, alpha.item(), sigma.item(), **{given: getattr(source, given)})
    close(prediction.velocity(*slopes), (after - before) / (2 * h), 1e-7)


def test_velocity_is_v_only_on_the_circle(pair):
    """On (cos t, sin t) the velocity is v; on the flow path it is eps - x0 (Lipman et al.), which is not v."""
    x0, eps = pair
    circle = Prediction.of(math.cos(1) * x0 + math.sin(1) * eps, math.cos(1), math.sin(1), x0=x0)
    close(circle.velocity(-math.sin(1), math.cos(1)), circle.v)
    flow = Prediction.of(0.3 * x0 + 0.7 * eps, 0.3, 0.7, eps=eps)
    close(flow.velocity(-1.0, 1.0), eps - x0)
    assert (flow.velocity(-1.0, 1.0) - flow.v).abs().max() > 0.1


@pytest.mark.parametrize("alpha, sigma", [(1.0, 0.0), (0.0, 1.0)])
def test_v_alone_is_enough_at_both_ends(alpha, sigma, pair):
    """Why the networks predict v: eps says nothing at alpha = 0, x0 nothing at sigma = 0."""
    x0, eps = pair
    prediction = Prediction.of(alpha * x0 + sigma * eps, alpha, sigma, v=alpha * eps - sigma * x0)
    close(prediction.x0, x0)
    close(prediction.eps, eps)


@pytest.mark.parametrize(
    "alpha, sigma, given, asked, name",
    [
        (0.0, 1.0, "eps", "x0", "alpha"),
        (0.0, 1.0, "score", "x0", "alpha"),
        (0.0, 1.0, "eps", "v", "alpha"),
        (1.0, 0.0, "x0", "eps", "sigma"),
        (1.0, 0.0, "x0", "v", "sigma"),
        (1.0, 0.0, "x0", "score", "sigma"),
        (1.0, 0.0, "eps", "score", "sigma"),
        (1.0, 0.0, "v", "score", "sigma"),
    ],
)
def test_what_is_undefined_at_an_end_raises(alpha, sigma, given, asked, name, pair):
    with pytest.raises(ValueError, match=f"undefined at {name} = 0"):
        getattr(Prediction.of(pair[0], alpha, sigma, **{given: pair[1]}), asked)


@pytest.mark.parametrize("views", [(), ("x0", "eps"), ("velocity",), ("x_0",)])
def test_exactly_one_known_view_must_be_given(views):
    x = torch.zeros(1, 2)
    with pytest.raises(TypeError, match="exactly one of x0, eps, v, score"):
        Prediction.of(x, 1.0, 1.0, **dict.fromkeys(views, x))
