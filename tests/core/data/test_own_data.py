"""Own data: the same points give the same text, the text gives a mixture that is spread like the points."""

import base64
import math

import numpy as np
import pytest
import torch
from core_common import close

from ddpm_core import DATASETS, sliced_w2
from ddpm_core.data.own_data import BANDWIDTHS, ENGLISH, MOST_CENTRES, MOST_POINTS, OwnDataError, decode, encode


def cloud(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)) * [2, 0.5] + [10, -3]


def standardised(x):
    x = torch.as_tensor(x, dtype=torch.float64)
    x = x - x.mean(0)
    return x / x.var(0, correction=0).mean().sqrt()


@pytest.mark.parametrize("n", [2, 3, 100, 512])
def test_few_points_are_the_centres_in_their_shape(n):
    points = cloud(n)
    centres = standardised(decode(encode(points, ordered=True)).means)
    assert (centres - standardised(points)).abs().max() < 0.008


@pytest.mark.parametrize("n", [2, 300, 513, 5000])
@pytest.mark.parametrize("ordered", [False, True])
def test_the_same_points_give_the_same_text_which_gives_the_same_mixture(n, ordered):
    text = encode(cloud(n), ordered=ordered)
    assert text == encode(cloud(n).tolist(), ordered=ordered) == encode(1e6 * cloud(n) - 3e7, ordered=ordered)
    assert len(text) == 4 + 4 * min(n, MOST_CENTRES)
    first, second = decode(text), decode(text)
    assert torch.equal(first.means, second.means) and torch.equal(first.variances, second.variances)
    assert encode(first.means, ordered=True) == text


def test_two_characters_hold_x_and_two_hold_y():
    """An independent reading of the format: base64url digits are 6 bits each."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = "own.AAAA__AAAA__BCDE"
    grid = [
        [64 * digits.index(g[i]) + digits.index(g[i + 1]) for i in (0, 2)] for g in ("AAAA", "__AA", "AA__", "BCDE")
    ]
    assert grid[:3] == [[0, 0], [4095, 0], [0, 4095]]
    close(standardised(decode(text).means), standardised(grid), 1e-9)


def test_the_mixture_is_standardised():
    mixture = decode(encode(cloud(3000)))
    close(mixture.mean, torch.zeros(2))
    close(mixture.covariance.diagonal().mean(), 1.0)
    assert mixture.K == MOST_CENTRES and mixture.D == 2


@pytest.mark.parametrize("n", [600, 3000])
@pytest.mark.parametrize("name", DATASETS)
def test_samples_are_spread_like_the_points(name, n, generator):
    """A drawing has to be what is learned; where most of it is lost on the way, it is not."""
    points = DATASETS[name]().sample(n, generator=generator)
    for kept, right in ((points, True), (points[points[:, 0].argsort()][: n // 3], False)):
        distance = sliced_w2(standardised(points), decode(encode(kept)), projections=32)
        assert (distance.value < 2 * distance.floor) is right


def test_dense_places_keep_their_share():
    """Nine points in ten lie in the left blob, and so do nine centres in ten."""
    points = cloud(10_000)
    points[:1000, 0] += 100
    assert 0.89 < (decode(encode(points)).means[:, 0] < 1).double().mean() < 0.91


def test_centres_lie_on_the_shape():
    """Means of cells would lie between the two circles; members do not."""
    angle = np.linspace(0, 2 * np.pi, 3000)
    points = np.concatenate([np.stack([r * np.cos(angle), r * np.sin(angle)], -1) for r in (1, 1.3)])
    radius = decode(encode(points)).means.norm(dim=1)
    assert ((radius / radius.max() - 1).abs() < 0.01).logical_or((radius / radius.max() - 1 / 1.3).abs() < 0.01).all()


@pytest.mark.parametrize("degrees", [-80, -30, 0, 45, 80])
def test_the_index_runs_along_the_principal_axis_from_left_to_right(degrees):
    angle = math.radians(degrees)
    points = (cloud(2000) - [10, -3]) @ [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    along = decode(encode(points)).means @ torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    assert torch.corrcoef(torch.stack([along, torch.arange(512.0, dtype=torch.float64)]))[0, 1] > 0.95


def test_a_drawing_keeps_its_order_even_when_thinned():
    angle = np.linspace(0, 6, 2000)
    means = decode(encode(np.stack([np.cos(angle), np.sin(angle)], -1), ordered=True)).means
    assert means.diff(dim=0).norm(dim=1).max() < 0.05


@pytest.mark.parametrize(
    ("points", "bandwidth"),
    [
        ([(0, 0), (1, 0)], BANDWIDTHS[1]),
        ([(0, 0)] * 500 + [(1, 0), (1, 1e-3)], BANDWIDTHS[0]),
        ([(i, j) for i in range(20) for j in range(20)], math.sqrt(12 / (20**2 - 1))),  # the spacing
    ],
)
def test_the_bandwidth_is_the_gap_to_the_next_centre(points, bandwidth):
    """The last step of standardisation shrinks it by the variance that it brought."""
    got = decode(encode(points)).variances[0, 0].sqrt()
    close(got, bandwidth / math.sqrt(1 + bandwidth**2), 1e-3)


@pytest.mark.parametrize("size", [1e-300, 1e-20, 1.0, 1e20, 1.7e308])
def test_any_size_that_a_number_can_have(size):
    points = np.random.default_rng(0).uniform(-1, 1, (700, 2))
    assert encode(points * size) == encode(points)


def test_a_million_points():
    assert len(encode(cloud(MOST_POINTS))) == 2052
    with pytest.raises(OwnDataError, match="at most 1000000 points"):
        encode(np.zeros((MOST_POINTS + 1, 2)))


@pytest.mark.parametrize(
    ("points", "key"),
    [
        (5.0, "bad_data_columns"),
        ([1.0, 2.0], "bad_data_columns"),
        (np.zeros((4, 3)), "bad_data_columns"),
        (np.zeros((4, 2, 1)), "bad_data_columns"),
        (np.zeros((0, 2)), "bad_data_one_place"),
        ([(1, 2)], "bad_data_one_place"),
        ([(1, 2)] * 3, "bad_data_one_place"),
        ([(1, 2)] * 100_000 + [(3, 4)], "bad_data_one_place"),
        ([(1, 2), (math.nan, 0)], "bad_data_finite"),
        ([(1, 2), (0, -math.inf)], "bad_data_finite"),
    ],
)
def test_what_is_no_shape_is_refused(points, key):
    with pytest.raises(OwnDataError) as caught:
        encode(points)
    assert caught.value.key == key
    assert str(caught.value) == ENGLISH[key].format(**caught.value.values)


def test_the_row_that_is_not_finite_is_named():
    points = cloud(10)
    points[6, 1] = math.nan
    with pytest.raises(OwnDataError, match="row 7 has one that is not"):
        encode(points)


GOOD = encode(cloud(5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "own.",
        "own.AAAA",
        "own",
        GOOD[4:],
        "OWN." + GOOD[4:],
        "own_" + GOOD[4:],
        GOOD + "A",
        GOOD + "=",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1] + "+",
        GOOD[:-1] + "/",
        GOOD[:-1] + "é",
        GOOD[:-1] + "\uff21",  # a full-width A
        GOOD[:-1] + "\x00",
        GOOD[:8] + "\n" + GOOD[9:],
        "own." + "AAAB" * (MOST_CENTRES + 1),
        "own." + "A" * 10**7,
        "swiss_roll",
        "own.<script>alert(1)</script>",
        "own.../../../../etc/passwd",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_any_other_text_is_refused(text):
    with pytest.raises(OwnDataError, match=r"^Your own data in a link must be 'own\.'") as caught:
        decode(text)
    assert len(str(caught.value)) < 250


def test_a_text_of_one_place_is_refused():
    with pytest.raises(OwnDataError) as caught:
        decode("own." + "ABCD" * 7)
    assert caught.value.key == "bad_data_one_place"


def test_every_text_of_the_alphabet_is_a_usable_mixture():
    rng = np.random.default_rng(0)
    for K in (2, 3, 17, MOST_CENTRES):
        text = "own." + base64.urlsafe_b64encode(rng.bytes(3 * K)).decode()
        mixture = decode(text)
        assert mixture.K == K
        assert mixture.log_prob(mixture.means).isfinite().all()
