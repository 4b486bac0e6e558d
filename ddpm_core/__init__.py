"""Diffusion models in their mathematics: from data and schedules to training and metrics. torch and numpy only."""

from .checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from .datasets import DATASETS
from .denoisers import Denoiser, EmpiricalDenoiser, MixtureDenoiser, NetworkDenoiser
from .metrics import Measured, energy_distance, excess_nll, nearest_distance, sliced_w2
from .mixtures import GaussianMixture
from .networks import MLP, NETWORKS
from .prediction import Prediction
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
    "energy_distance",
    "excess_nll",
    "from_betas",
    "load_checkpoint",
    "nearest_distance",
    "save_checkpoint",
    "sliced_w2",
    "train",
]
