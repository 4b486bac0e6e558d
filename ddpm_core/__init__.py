"""Diffusion models in their mathematics: from data and schedules to training and metrics. torch and numpy."""

from .bound import variational_bound
from .checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from .convergence import affordable, arrive, fitted_order, local_errors, path_errors
from .datasets import DATASETS
from .denoisers import Denoiser, EmpiricalDenoiser, MixtureDenoiser, NetworkDenoiser
from .distances import energy_distance, exact_w2, mmd, one_nn_accuracy, precision, recall, sliced_w2
from .distillation import Teacher
from .exact_flow import exact_flow, exact_flow_between
from .intervals import Measured, bootstrap_interval, permutation_band
from .langevin import annealed, langevin
from .likelihood import divergence, flow_log_prob
from .memory import between, perplexity
from .metrics import METRICS, excess_nll, mode_coverage, nearest_distance, strong_error
from .mixtures import GaussianMixture
from .networks import MLP, NETWORKS, UNet
from .prediction import Prediction
from .reverse_step import exact_reverse, gaussian_reverse
from .samplers import SAMPLERS, ParticleNoise, Step
from .schedules import SCHEDULES, SPACINGS, Schedule, from_betas
from .training import TrainConfig, TrainStep, train

__all__ = [
    "DATASETS",
    "METRICS",
    "MLP",
    "NETWORKS",
    "SAMPLERS",
    "SCHEDULES",
    "SPACINGS",
    "CheckpointError",
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
    "affordable",
    "annealed",
    "arrive",
    "between",
    "bootstrap_interval",
    "divergence",
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
    "path_errors",
    "permutation_band",
    "perplexity",
    "precision",
    "recall",
    "save_checkpoint",
    "sliced_w2",
    "strong_error",
    "train",
    "variational_bound",
]
