"""The networks that were trained or uploaded here, each by the name of its run; the newest MAX_MODELS, in memory."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from ddpm_core import NetworkDenoiser
from ddpm_ui.recipes import RecipeError

MAX_MODELS = 64  # at most about 4 MB each, where a network is as large as it may be


@dataclass(frozen=True)
class Model:
    denoiser: NetworkDenoiser
    data: str
    state: dict[str, Tensor] | None = None  # what its training goes on from


def run_name(name: str) -> str:
    """A name that a page made up, if it is one: nobody guesses another one's. RecipeError if not."""
    if not re.fullmatch(r"[0-9a-f]{16,32}", name):
        raise RecipeError("bad_run", got=repr(name[:40]))
    return name


_models: OrderedDict[str, Model] = OrderedDict()
_changed = threading.Condition()


def keep(run: str, model: Model) -> None:
    with _changed:
        _models[run] = model
        _models.move_to_end(run)
        while len(_models) > MAX_MODELS:
            _models.popitem(last=False)
        _changed.notify_all()


def find(run: str, patience: float = 0.0) -> Model:
    """RecipeError if it is not here, or no longer, or not within so many seconds of patience."""
    with _changed:
        if not _changed.wait_for(lambda: run in _models, patience):
            raise RecipeError("no_such_model", run=repr(run[:40]))
        _models.move_to_end(run)
        return _models[run]
