import pytest
import torch
from core_common import close, normal, roused

from ddpm_core import MLP, NETWORKS, TrainConfig
from ddpm_core.models.networks import LAM_RANGE


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_rebuilt_from_its_hyperparameters(name):
    net = NETWORKS[name]()
    again = NETWORKS[name](**net.hyperparameters)
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in again.state_dict().items()}


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_one_level_for_all_points_is_that_level_for_each(dim):
    """One level of a whole batch is folded into the biases, which must not be seen. Points do not see each other."""
    net, x = roused(MLP(dim, width=16, depth=3)), normal(7, dim)
    lam = torch.tensor(0.7, dtype=torch.float64)
    with torch.no_grad():
        together = net(x, lam)
        close(net(x, lam.expand(7)), together)
        close(net(x[3:4], lam), together[3:4])
        assert (net(x, lam + 0.1) - together).abs().max() > 1e-5


def test_a_network_is_never_asked_for_a_level_it_was_not_trained_on():
    assert (TrainConfig().lam_min, TrainConfig().lam_max) == LAM_RANGE
    embed, (low, high) = MLP().level[0], LAM_RANGE
    assert torch.equal(
        embed(torch.tensor([-torch.inf, low - 2, high + 1, torch.inf])), embed(torch.tensor([low, low, high, high]))
    )


def test_beyond_its_range_a_level_is_pure_noise_or_data():
    net, x = roused(MLP(width=16, depth=2)), normal(7, 2)
    with torch.no_grad():
        noise, data = (net(x, torch.tensor(lam, dtype=torch.float64)) for lam in (-torch.inf, torch.inf))
        assert torch.equal(net(x, torch.tensor(-50.0, dtype=torch.float64)), noise)
        assert noise.isfinite().all() and data.isfinite().all() and not torch.equal(noise, data)


def test_no_two_levels_look_alike():
    """The embedding of lam separates levels over its whole range, both near and far."""
    embed = MLP().level[0]
    e = embed(torch.linspace(*LAM_RANGE, 200))
    distance = torch.cdist(e, e) + 10 * torch.eye(200)
    assert distance.min() > 0.05 and torch.allclose(e.norm(dim=1), e.norm(dim=1)[0].expand(200), rtol=1e-5)


def test_a_new_network_predicts_nothing(generator):
    assert (MLP()(torch.randn(5, 2, generator=generator), torch.tensor(0.0)) == 0).all()
