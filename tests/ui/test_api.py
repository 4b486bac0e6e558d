"""The named endpoints, called by a real gradio_client."""

import numpy as np
import plotly.graph_objects as go
import pytest
from gradio_client import Client

from ddpm_core import DATASETS, ParticleNoise
from ddpm_ui.exhibits.forward.recipe import Forward


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


def test_endpoints_are_named(client):
    assert {"/forward", "/reverse"} == set(client.view_api(return_format="dict", print_info=False)["named_endpoints"])


def test_forward_returns_the_stages_as_a_plotly_figure(client):
    figure = go.Figure(client.predict(T=100, rescale=True, n=64, film="0, 50, 100", api_name="/forward"))
    assert [trace.name for trace in figure.data] == ["t = 0", "t = 50", "t = 100"]
    noise = ParticleNoise(0, 64)
    x0, _ = noise.data(DATASETS["swiss_roll"]())
    x = Forward(T=100, rescale=True).full_schedule.jump(x0, 50, noise.start())
    np.testing.assert_allclose(np.stack([figure.data[1].x, figure.data[1].y], -1), x, atol=1e-3)


def test_reverse_returns_the_walk(client):
    figure = go.Figure(client.predict(sampler="ddim", steps=20, n=64, api_name="/reverse"))
    assert all(len(trace.x) == 64 for trace in figure.data)
    assert figure.data[0].name == "t = 0"


def test_the_options_of_samplers_are_arguments_too(client):
    def end(**options):
        made = client.predict(sampler="edm_stochastic", steps=8, n=32, film="0", api_name="/reverse", **options)
        return go.Figure(made).data[0].x

    assert end(churn=0) != end() == end(tolerance=0.05)  # which is another sampler's
    assert end(spacing="uniform_lam") != end()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"T": 0}, "T must be"),
        ({"n": 10**9}, "n must be"),
        ({"beta_min": 0.1}, "beta_min must not exceed"),
        ({"film": "x"}, "film must be"),
    ],
)
def test_bad_arguments_are_named(client, arguments, words):
    with pytest.raises(Exception, match=words):
        client.predict(**arguments, api_name="/forward")
    assert client.predict(T=10, n=5, api_name="/forward")["data"]  # and the process goes on
