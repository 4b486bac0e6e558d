"""Programs with one slip each: what the judge of a statistical test rejects, at the n at which it accepts ours."""

from torch import Tensor

from ddpm_core import Denoiser, GaussianMixture, Prediction, Schedule

WIDER = 1.05  # as a factor of the variance


def wider(x: Tensor) -> Tensor:
    """5 % too much variance about the same mean, [n, D]."""
    return x.mean(0) + WIDER**0.5 * (x - x.mean(0))


def without_a_mode(mixture: GaussianMixture) -> GaussianMixture:
    """The last component is never drawn."""
    labels = None if mixture.labels is None else mixture.labels[:-1]
    return GaussianMixture(mixture.weights[:-1], mixture.means[:-1], mixture.covariances[:-1], labels)


def one_index_late(denoiser: Denoiser, schedule: Schedule) -> Denoiser:
    """Told the level t - 1 where t is meant, above data."""
    levels = list(zip(schedule.alpha.tolist(), schedule.sigma.tolist(), strict=True))

    def answer(x: Tensor, alpha: float, sigma: float) -> Prediction:
        t = levels.index((alpha, sigma))
        return Prediction.of(x, alpha, sigma, x0=denoiser(x, *levels[max(t - 1, 1)]).x0)

    return answer
