"""Recipes: everything that decides what is on the screen, with the limits of every field, as a query string.

The fields of an exhibit are in its folder; this file has what they share.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlencode

from ddpm_core import DATASETS, SCHEDULES, GaussianMixture, Schedule
from ddpm_core.data.own_data import PREFIX, OwnDataError, decode
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.words import Message

DENOISERS = ("network", "exact")
OWN_NETWORK = r"run\.[0-9a-f]{16,32}$"  # the name of a training or an upload


class RecipeError(ValueError):
    """A field is outside its range; the message names the field and the range."""

    def __init__(self, key: str, **values: Any):
        self.message = Message(key, values)
        super().__init__(str(self.message))


def number(default, low, high, *, step: float = 1, typed: bool = False):
    """A number in low .. high; an integer if its default is one.

    step: of its control. typed: whether it is typed rather than dragged.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "step": step, "typed": typed})


def choice(default: str, known, own: str = "(?!)"):
    """One of `known`, or a user's own choice that matches the pattern `own` (by default none)."""
    return dataclasses.field(default=default, metadata={"known": tuple(known), "own": own})


def several(default: tuple[str, ...], known, most: int, own: str = "(?!)"):
    """Up to `most` of `known`, in the order chosen; at least one unless the default is empty. `own` as in `choice`."""
    rule = {"known": tuple(known), "own": own, "most": most, "least": min(len(default), 1)}
    return dataclasses.field(default=default, metadata=rule)


def _parsed(name: str, kind: type, value: Any, rule: Mapping) -> Any:
    """The value of a field from a string in a link or from a control. RecipeError if it is outside the limits."""
    got = repr(str(value)[:40])
    if kind is tuple:
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        if len(parts) > rule["most"]:
            raise RecipeError(
                "bad_choices" if "known" in rule else "bad_list", field=name, most=rule["most"], got=len(parts)
            )
        if "known" in rule:
            if len(parts) < rule["least"]:
                raise RecipeError("nothing_chosen", field=name, known=", ".join(rule["known"]))
            return tuple(dict.fromkeys(_parsed(name, str, part, rule) for part in parts))
        return tuple(sorted({_parsed(name, int, part, rule) for part in parts}))
    if "known" in rule:
        if value not in rule["known"] and not re.match(rule["own"], str(value)):
            raise RecipeError("bad_choice", field=name, known=", ".join(rule["known"]), got=got)
        return value
    if kind is bool:
        if str(value).lower() not in ("1", "0", "true", "false"):
            raise RecipeError("bad_switch", field=name, got=got)
        return str(value).lower() in ("1", "true")
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if kind is int and result.is_integer():
        result = int(result)
    if not isinstance(result, kind) or not rule["low"] <= result <= rule["high"]:  # false for NaN as well
        key = "bad_whole_number" if kind is int else "bad_number"
        raise RecipeError(key, field=name, low=rule["low"], high=rule["high"], got=got)
    return result


@dataclass(frozen=True)
class Recipe:
    """Fields with limits, to and from a query string. All recipes have data."""

    tab: ClassVar[str]
    optional: ClassVar[tuple[str, ...]] = ()  # fields that have no effect for certain values of others
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({})  # names of fields in old links

    data: str = choice("swiss_roll", DATASETS, own=re.escape(PREFIX))

    def __post_init__(self):
        for field in dataclasses.fields(self):
            kind = type(field.default)
            object.__setattr__(self, field.name, _parsed(field.name, kind, getattr(self, field.name), field.metadata))
        self.check_data()

    def check_data(self) -> None:
        """RecipeError if the data are unknown or unreadable."""
        mixture_of(self.data)

    @classmethod
    def of(cls, values: Mapping[str, Any]):
        """From a query string or from controls. Missing fields have their defaults, unknown ones are ignored."""
        values = {cls.renamed.get(name, name): value for name, value in values.items() if value is not None}
        return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})

    @property
    def idle(self) -> set[str]:
        """The optional fields that have no effect now."""
        return set()

    @property
    def asked(self):
        """The same recipe with its idle fields at their defaults: what is computed."""
        return dataclasses.replace(self, **{name: getattr(type(self), name) for name in self.idle})

    def only(self, *fields: str):
        """The same recipe with all other fields at their defaults: what depends on these alone is computed once."""
        return type(self)(**{name: getattr(self, name) for name in fields})

    @property
    def query(self) -> str:
        """The shortest query string for this recipe; canonical, so it is also the cache key."""
        changed = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                changed[field.name] = ",".join(map(str, value)) if isinstance(value, tuple) else value
        return urlencode({k: int(v) if isinstance(v, bool) else v for k, v in changed.items()}, safe=",")

    @property
    def link(self) -> str:
        return f"tab={self.tab}" + (f"&{self.query}" if self.query else "")


@lru_cache(maxsize=64)
def mixture_of(data: str) -> GaussianMixture:
    """The data of a recipe: built in, or the user's own, encoded in the text. RecipeError if it cannot be decoded."""
    if data in DATASETS:
        return DATASETS[data]()
    try:
        return decode(data)
    except OwnDataError as error:
        raise RecipeError(error.key, **error.values) from None


BETA_RANGE = ("beta_min", "beta_max", "rescale")
SCHEDULE = ("schedule", "T", *BETA_RANGE)
OF_BETA = ("linear", "scaled_linear")  # the schedules that depend on these


@dataclass(frozen=True)
class Noised(Recipe):
    """Common to all recipes with noise: schedule and particles."""

    optional: ClassVar[tuple[str, ...]] = BETA_RANGE

    schedule: str = choice("linear", SCHEDULES)
    T: int = number(1000, 1, 2000)
    beta_min: float = number(1e-4, 1e-6, 0.1, step=1e-5)
    beta_max: float = number(0.02, 1e-6, 0.5, step=1e-4)  # more would underflow alpha_bar at the largest T
    rescale: bool = False  # beta times 1000 / T
    n: int = number(2000, 1, 10_000, typed=True)
    seed: int = number(0, 0, 2**32 - 1, typed=True)

    def __post_init__(self):
        super().__post_init__()
        if self.beta_min > self.beta_max:
            raise RecipeError("bad_beta_range", low=f"{self.beta_min:g}", high=f"{self.beta_max:g}")

    @property
    def idle(self) -> set[str]:
        return set() if self.schedule in OF_BETA else set(BETA_RANGE)

    @cached_property
    def full_schedule(self) -> Schedule:
        """The T noise levels."""
        if self.schedule in OF_BETA:
            return SCHEDULES[self.schedule](self.T, self.beta_min, self.beta_max, rescale=self.rescale)
        return SCHEDULES[self.schedule](self.T)


FILM = (0, 29, 59, 99, 299, 999)  # thousandths of T; for T = 1000 the times themselves


FILM_RULE = {"low": 0, "high": 2000, "most": 8}


def times_of(film: str) -> tuple[int, ...]:
    """The times listed in a text. RecipeError if it contains anything else."""
    return _parsed("film", tuple, film, FILM_RULE)


def film_times(T: int, chosen: tuple[int, ...] = ()) -> list[int]:
    """The times of a film strip, ascending: the chosen ones, limited to T, or FILM."""
    return sorted({min(t, T) for t in chosen} or {round(t * T / 1000) for t in FILM})


RACERS = tuple(name for name, traits in TRAITS.items() if traits.per_step)  # with a fixed cost per step
FLOW_RACERS = tuple(name for name in RACERS if not TRAITS[name].stochastic)
