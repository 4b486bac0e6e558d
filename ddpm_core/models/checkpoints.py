"""Checkpoints: a safetensors file of weights with JSON metadata. Never pickle; nothing in a file can run."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from ddpm_core.files import shipped
from ddpm_core.models.denoisers import TARGETS, NetworkDenoiser
from ddpm_core.models.networks import NETWORKS

FOLDER = shipped("checkpoints")
FORMAT = 1
MAX_BYTES = 10_000_000  # a file larger than this is refused before it is read
MAX_HYPERPARAMETER = 4096
FLOATS = {"F16", "BF16", "F32", "F64"}


class CheckpointError(ValueError):
    """The file is not a Diffusion lab checkpoint; the message says what is wrong with it."""


def save_checkpoint(path: str | Path, net: nn.Module, metadata: dict) -> None:
    """Write `net` (one of NETWORKS) with its metadata, which must name the `target` that it predicts.

    ValueError for another target or suffix, for weights that are not finite, and above MAX_BYTES.
    """
    if metadata.get("target") not in TARGETS:
        raise ValueError(f"metadata['target'] must be one of {', '.join(TARGETS)}, got {metadata.get('target')!r}")
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"a checkpoint's name ends in .safetensors, got {Path(path).name!r}")
    described = {
        "format": FORMAT,
        "network": {"name": type(net).__name__} | vars(net)["hyperparameters"],
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        **metadata,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    if not all(value.isfinite().all() for value in tensors.values()):
        raise ValueError("the weights are not finite")
    if (size := sum(value.nbytes for value in tensors.values())) > MAX_BYTES:
        raise ValueError(f"the weights take {size} bytes; the limit is {MAX_BYTES}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, path, metadata={"ddpm_core": json.dumps(described)})
    Path(path).chmod(0o644)  # safetensors writes files that only their owner can read


def names() -> list[str]:
    """Names of the shipped checkpoints."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_checkpoint(path_or_name: str | Path, device: torch.device | str = "cpu") -> NetworkDenoiser:
    """The denoiser in a file, or in the shipped checkpoint of that name, with its `.metadata`.

    Raises KeyError (it lists the known names) for an unknown name, FileNotFoundError for a path without a file,
    CheckpointError for a truncated, foreign, oversized or inconsistent file. Sizes and shapes are checked before
    anything is allocated.
    """
    path = Path(path_or_name)
    if path.suffix != ".safetensors":
        if str(path_or_name) not in names():
            raise KeyError(f"unknown checkpoint {str(path_or_name)!r}; known: {', '.join(names()) or 'none'}")
        path = FOLDER / f"{path_or_name}.safetensors"
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path.name} has {path.stat().st_size} bytes; the limit is {MAX_BYTES}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            net, metadata = _build(path.name, file)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path.name} is truncated or not a safetensors file ({error})") from error
    return NetworkDenoiser(net.to(device).eval().requires_grad_(False), metadata["target"], metadata)


def _build(name: str, file) -> tuple[nn.Module, dict]:
    try:
        metadata = json.loads((file.metadata() or {})["ddpm_core"])
        network = dict(metadata["network"])
        kind = NETWORKS[network.pop("name")]
        target, version = metadata["target"], metadata["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{name} is not a Diffusion lab checkpoint: its description is missing or invalid"
        ) from error
    if version != FORMAT or target not in TARGETS:
        raise CheckpointError(f"{name} has format {version!r} and target {target!r}; known: {FORMAT} and {TARGETS}")
    if not all(type(value) is int and 1 <= value <= MAX_HYPERPARAMETER for value in network.values()):
        raise CheckpointError(f"{name}: network sizes must be integers in 1 .. {MAX_HYPERPARAMETER}, got {network}")
    try:
        with torch.device("meta"):  # shapes without memory
            expected = {key: tuple(value.shape) for key, value in kind(**network).state_dict().items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: {kind.__name__} does not take {network}") from error
    found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
    if found != expected:
        wrong = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        raise CheckpointError(f"{name} does not fit its own description at: {', '.join(wrong[:5])}")
    if odd := {file.get_slice(key).get_dtype() for key in expected} - FLOATS:
        raise CheckpointError(f"{name} holds weights of type {', '.join(odd)}; known: {', '.join(sorted(FLOATS))}")
    weights = {key: file.get_tensor(key).to(torch.float32) for key in expected}
    if not all(value.isfinite().all() for value in weights.values()):
        raise CheckpointError(f"{name} holds weights that are not finite")
    net = kind(**network)
    net.load_state_dict(weights)
    return net, metadata
