"""The networks that were trained or uploaded here, by the name of their run; the newest MAX_MODELS, in memory."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from ddpm_core import NetworkDenoiser
from ddpm_ui.recipes import RecipeError

MAX_MODELS = 64  # at most about 4 MB each, for the largest network allowed


@dataclass(frozen=True)
class Model:
    denoiser: NetworkDenoiser
    data: str
    state: dict[str, Tensor] | None = None  # the state from which its training continues


def run_name(name: str) -> str:
    """Checks the name of a run: a random number made up by the page, so nobody can guess it. RecipeError if not."""
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
    """The model of a run; waits up to `patience` seconds. RecipeError if it is not here."""
    with _changed:
        if not _changed.wait_for(lambda: run in _models, patience):
            raise RecipeError("no_such_model", run=repr(run[:40]))
        _models.move_to_end(run)
        return _models[run]
