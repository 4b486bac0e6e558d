"""Diffusion models in their mathematics: from data and schedules to training and metrics. torch and numpy only."""

from .bound import variational_bound
from .checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from .datasets import DATASETS
from .denoisers import Denoiser, EmpiricalDenoiser, MixtureDenoiser, NetworkDenoiser
from .langevin import annealed, langevin
from .likelihood import divergence, flow_log_prob
from .memory import between, perplexity
from .metrics import Measured, energy_distance, excess_nll, nearest_distance, sliced_w2
from .mixtures import GaussianMixture
from .networks import MLP, NETWORKS
from .prediction import Prediction
from .reverse_step import exact_reverse, gaussian_reverse
from .samplers import SAMPLERS, ParticleNoise, Step
from .schedules import SCHEDULES, SPACINGS, Schedule, from_betas
from .training import TrainConfig, TrainStep, train

__all__ = [
    "DATASETS",
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
    "TrainConfig",
    "TrainStep",
    "annealed",
    "between",
    "divergence",
    "energy_distance",
    "exact_reverse",
    "excess_nll",
    "flow_log_prob",
    "from_betas",
    "gaussian_reverse",
    "langevin",
    "load_checkpoint",
    "nearest_distance",
    "perplexity",
    "save_checkpoint",
    "sliced_w2",
    "train",
    "variational_bound",
]
