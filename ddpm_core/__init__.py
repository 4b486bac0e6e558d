"""The mathematics of diffusion models, in torch and numpy: data, schedules, models, samplers, training, metrics."""

from ddpm_core.analysis.bound import variational_bound
from ddpm_core.analysis.convergence import fitted_order, local_errors, path_errors, schedule_for_nfe
from ddpm_core.analysis.likelihood import flow_log_prob
from ddpm_core.analysis.memorisation import perplexity, score_position
from ddpm_core.data.datasets import DATASETS
from ddpm_core.data.mixtures import GaussianMixture
from ddpm_core.device import sample
from ddpm_core.guidance.classifier_free import ClassifierFree
from ddpm_core.metrics.distances import energy_distance, exact_w2, mmd, one_nn_accuracy, precision, recall, sliced_w2
from ddpm_core.metrics.intervals import Measured, bootstrap_interval, permutation_band
from ddpm_core.metrics.registry import (
    METRICS,
    PANEL,
    excess_nll,
    mode_coverage,
    nearest_distance,
    outlier_share,
    strong_error,
)
from ddpm_core.models.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from ddpm_core.models.denoisers import Denoiser, EmpiricalDenoiser, MixtureDenoiser, NetworkDenoiser
from ddpm_core.models.networks import MLP, NETWORKS, UNet
from ddpm_core.models.prediction import Prediction
from ddpm_core.samplers.exact_flow import exact_flow, exact_flow_between
from ddpm_core.samplers.langevin import annealed, langevin
from ddpm_core.samplers.registry import SAMPLERS, ParticleNoise, Step
from ddpm_core.samplers.reverse_step import exact_reverse, gaussian_reverse
from ddpm_core.schedules import SCHEDULES, SPACINGS, Schedule, from_betas
from ddpm_core.training.distillation import Teacher
from ddpm_core.training.loop import TrainConfig, TrainStep, train

__version__ = "1.0.0"

__all__ = [
    "DATASETS",
    "METRICS",
    "MLP",
    "NETWORKS",
    "PANEL",
    "SAMPLERS",
    "SCHEDULES",
    "SPACINGS",
    "CheckpointError",
    "ClassifierFree",
    "Denoiser",
    "EmpiricalDenoiser",
    "GaussianMixture",
    "Measured",
    "MixtureDenoiser",
    "NetworkDenoiser",
    "ParticleNoise",
    "Prediction",
    "Schedule",
    "Step",
    "Teacher",
    "TrainConfig",
    "TrainStep",
    "UNet",
    "annealed",
    "bootstrap_interval",
    "energy_distance",
    "exact_flow",
    "exact_flow_between",
    "exact_reverse",
    "exact_w2",
    "excess_nll",
    "fitted_order",
    "flow_log_prob",
    "from_betas",
    "gaussian_reverse",
    "langevin",
    "load_checkpoint",
    "local_errors",
    "mmd",
    "mode_coverage",
    "nearest_distance",
    "one_nn_accuracy",
    "outlier_share",
    "path_errors",
    "permutation_band",
    "perplexity",
    "precision",
    "recall",
    "sample",
    "save_checkpoint",
    "schedule_for_nfe",
    "score_position",
    "sliced_w2",
    "strong_error",
    "train",
    "variational_bound",
]
