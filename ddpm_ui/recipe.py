"""A recipe is all that decides what is on the screen: frozen, hashable, and the same thing as a query string.

Every limit of the lab stands in this file, beside the field that it limits.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from ddpm_core import (
    DATASETS,
    METRICS,
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    GaussianMixture,
    Schedule,
    TrainConfig,
    schedule_for_nfe,
)
from ddpm_core.data.images import CLASSES
from ddpm_core.data.own_data import PREFIX, OwnDataError, decode
from ddpm_core.models.denoisers import TARGETS
from ddpm_core.samplers.registry import DDPM_VARIANCES, TRAITS
from ddpm_core.training.loop import WEIGHTINGS
from ddpm_ui import own_picture
from ddpm_ui.i18n import Message

DENOISERS = ("network", "exact")
OWN_NETWORK = r"run\.[0-9a-f]{16,32}$"  # of a training, or an upload


class RecipeError(ValueError):
    """A field outside its range; the message names both."""

    def __init__(self, key: str, **values: Any):
        self.message = Message(key, values)
        super().__init__(str(self.message))


def number(default, low, high):
    """A field that must lie in low .. high and is whole if its default is."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def choice(default: str, known, own: str = "(?!)"):
    """One of `known`, or something that people made themselves: what begins like `own`, by default nothing."""
    return dataclasses.field(default=default, metadata={"known": tuple(known), "own": own})


def several(default: tuple[str, ...], known, most: int, own: str = "(?!)"):
    """Some of `known`, in the order of the person, at most so many, and at least one unless none is the default; or
    something that people made themselves, as of `choice`."""
    rule = {"known": tuple(known), "own": own, "most": most, "least": min(len(default), 1)}
    return dataclasses.field(default=default, metadata=rule)


def _parsed(name: str, kind: type, value: Any, rule: Mapping) -> Any:
    """`value`, a string from a link or a value from a control, as what the field holds."""
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
    """Fields with limits, and the way to and from a query string. All recipes have data."""

    tab: ClassVar[str]
    optional: ClassVar[tuple[str, ...]] = ()  # fields that say nothing while others have certain values

    data: str = choice("swiss_roll", DATASETS, own=re.escape(PREFIX))

    def __post_init__(self):
        for field in dataclasses.fields(self):
            kind = type(field.default)
            object.__setattr__(self, field.name, _parsed(field.name, kind, getattr(self, field.name), field.metadata))
        self.check_data()

    def check_data(self) -> None:
        """RecipeError where a text is no data."""
        mixture_of(self.data)

    @classmethod
    def of(cls, values: Mapping[str, Any]):
        """From a query string or from controls; what is missing has its default, what is unknown is ignored."""
        return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if values.get(f.name) is not None})

    @property
    def idle(self) -> set[str]:
        """Those of the optional fields that say nothing now."""
        return set()

    @property
    def asked(self):
        """The same, without them: what is to be computed."""
        return dataclasses.replace(self, **{name: getattr(type(self), name) for name in self.idle})

    @property
    def query(self) -> str:
        """The shortest query string that brings this recipe back; canonical, so it is the cache key too."""
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
    """The data of a recipe: built in, or people's own, which the text itself is. RecipeError if the text is none."""
    if data in DATASETS:
        return DATASETS[data]()
    try:
        return decode(data)
    except OwnDataError as error:
        raise RecipeError(error.key, **error.values) from None


BETA_RANGE = ("beta_min", "beta_max", "rescale")
OF_BETA = ("linear", "scaled_linear")  # the schedules that these decide


@dataclass(frozen=True)
class Noised(Recipe):
    """What all that is noised has in common: schedule and particles."""

    optional: ClassVar[tuple[str, ...]] = BETA_RANGE

    schedule: str = choice("linear", SCHEDULES)
    T: int = number(1000, 1, 2000)
    beta_min: float = number(1e-4, 1e-6, 0.1)
    beta_max: float = number(0.02, 1e-6, 0.5)  # more would underflow alpha_bar at the largest T
    rescale: bool = False  # beta times 1000 / T
    n: int = number(2000, 1, 10_000)
    seed: int = number(0, 0, 2**32 - 1)

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


BESIDE = ("nothing", "chain", "unshrunk", "constant")
FILM = (0, 29, 59, 99, 299, 999)  # thousandths of the way to noise; of T = 1000, the times themselves


def film_times(T: int, chosen: tuple[int, ...] = ()) -> list[int]:
    """The times of a film strip, ascending: those that were chosen, as far as T reaches, or FILM."""
    return sorted({min(t, T) for t in chosen} or {round(t * T / 1000) for t in FILM})


@dataclass(frozen=True)
class Forward(Noised):
    tab = "forward"

    beside: str = choice("nothing", BESIDE)  # the closed form: the chain, or one that is made otherwise
    film: tuple = dataclasses.field(default=(), metadata={"low": 0, "high": 2000, "most": 8})  # empty: FILM


# The fields that are for one sampler only, and what it calls them.
OPTIONS: dict[str, dict[str, str]] = {
    "ddpm": {"variance": "variance"},
    "ddim": {"eta": "eta"},
    "edm_stochastic": {"stir": "churn"},
    "langevin_pc": {"correction": "correction"},
    "adaptive": {"tolerance": "tolerance"},
    "paradigms": {"sweeps": "sweeps"},
}


@dataclass(frozen=True)
class Reverse(Noised):
    tab = "reverse"
    optional = (*BETA_RANGE, *(field for fields in OPTIONS.values() for field in fields))

    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    sampler: str = choice("ddpm", SAMPLERS)
    variance: str = choice("beta_tilde", DDPM_VARIANCES)
    eta: float = number(0.0, 0.0, 1.0)
    steps: int = number(1000, 1, 2000)  # at most: a schedule of T levels has no more than T
    spacing: str = choice("trailing", SPACINGS)
    stir: float = number(5.0, 0.0, 40.0)
    correction: float = number(0.1, 0.0, 2.0)
    tolerance: float = number(1e-3, 1e-5, 0.1)
    sweeps: int = number(10, 1, 200)

    def __post_init__(self):
        super().__post_init__()
        if self.sampler == "ddpm" and self.variance == "optimal" and self.denoiser != "exact":
            raise RecipeError("optimal_needs_exact")

    @property
    def idle(self) -> set[str]:
        others = (fields for sampler, fields in OPTIONS.items() if sampler != self.sampler)
        return super().idle.union(*others)

    def options(self) -> dict:
        """What this sampler, and no other, wants to know."""
        return {option: getattr(self, field) for field, option in OPTIONS.get(self.sampler, {}).items()}

    def walked(self) -> Schedule:
        """The levels that the sampler visits, `steps` of the T."""
        return self.full_schedule.subsample(min(self.steps, self.T), self.spacing)


@dataclass(frozen=True)
class Train(Recipe):
    """How a network is trained; the defaults learn any of the data sets in less than a minute on two cores."""

    tab = "train"
    optional = ("schedule",)

    points: int = number(0, 0, 10_000)  # size of the training set; 0: fresh points for ever
    steps: int = number(8_000, 10, 100_000)
    width: int = number(40, 4, 256)
    depth: int = number(4, 1, 8)
    target: str = choice("v", TARGETS)
    weighting: str = choice("uniform", WEIGHTINGS)
    schedule: str = choice("linear", SCHEDULES)  # of the weightings that draw from one
    batch: int = number(TrainConfig.batch, 1, 8192)
    lr: float = number(TrainConfig.lr, 1e-6, 0.1)
    ema: float = number(TrainConfig.ema, 0.0, 0.9999)
    seed: int = number(0, 0, 2**32 - 1)

    @property
    def idle(self) -> set[str]:
        return {"schedule"} if self.weighting == "uniform" else set()

    @property
    def config(self) -> TrainConfig:
        names = {field.name for field in dataclasses.fields(TrainConfig)}
        return TrainConfig(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name in names})


@dataclass(frozen=True)
class Views(Noised):
    """One model, seen four ways; the noise level on show is no part of it, all of them are sent."""

    tab = "views"

    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    at: int = number(200, 1, 2000)  # the step back that is looked at, x_at -> x_{at - 1}
    particle: int = number(0, 0, 9_999)  # and the particle that takes it
    churn: float = number(0.5, 0.0, 1.0)  # share of fresh noise on the way back: 0 the ODE, 1 the SDE

    @property
    def seen(self) -> Views:
        """What the fields depend on: schedules choose levels, and these are all levels."""
        return Views(data=self.data, denoiser=self.denoiser)


RACERS = tuple(name for name, traits in TRAITS.items() if traits.per_step)  # those whose price is known beforehand
FLOW_RACERS = tuple(name for name in RACERS if not TRAITS[name].stochastic)
MAX_RACERS = 6
DISTANCES = tuple(name for name, metric in METRICS.items() if metric.against != "flow")


@dataclass(frozen=True)
class Priced(Noised):
    """A walk for a number of network evaluations. The Karras path has the range of noise that toy data need."""

    tab = "solvers"
    optional = (*BETA_RANGE, "sigma_min", "sigma_max")

    schedule: str = choice("karras", SCHEDULES)
    denoiser: str = choice("network", DENOISERS, own=OWN_NETWORK)
    nfe: int = number(12, 1, 200)
    spacing: str = choice("trailing", SPACINGS)
    sigma_min: float = number(0.02, 1e-4, 0.5)
    sigma_max: float = number(20.0, 1.0, 200.0)

    @property
    def idle(self) -> set[str]:
        return super().idle | (set() if self.schedule == "karras" else {"sigma_min", "sigma_max"})

    @cached_property
    def full_schedule(self) -> Schedule:
        if self.schedule == "karras":
            return SCHEDULES["karras"](self.T, self.sigma_min, self.sigma_max)
        return super().full_schedule


@dataclass(frozen=True)
class Racer(Priced):
    """One of the solvers of a race."""

    sampler: str = choice("ddim", RACERS)

    def walked(self) -> Schedule:
        """As many levels as it can pay for."""
        return schedule_for_nfe(self.sampler, self.full_schedule, self.nfe, self.spacing)


@dataclass(frozen=True)
class Solvers(Priced):
    """Solvers at equal cost, and what evaluations buy them."""

    solvers: tuple = several(("ddpm", "ddim", "heun", "dpmpp_2m", "unipc_2", "deis"), RACERS, MAX_RACERS)
    stepper: str = choice("ddim", FLOW_RACERS)  # whose single steps are looked at
    metric: str = choice("sliced_w2", DISTANCES)

    def racers(self) -> list[Racer]:
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(Priced)}
        return [Racer(**shared, sampler=name) for name in self.solvers]


GARMENTS = tuple(re.sub(r"\W", "_", name.lower()) for name in CLASSES)  # the classes, in a link
TASKS = ("generate", "forward", "back", "interpolate", "inpaint")
HALVES = ("upper", "lower", "left", "right")
BESIDE_PICTURES = ("nothing", "sampler", "weight")
WALK = ("weight", "sampler", "nfe", "beside", "spacing")
# The fields that only some tasks have, and what these are.
OWN_FIELDS = {
    "generate": WALK,
    "forward": (),
    "back": ("level", "told", *WALK),
    "interpolate": WALK,
    "inpaint": ("kept", "told", *WALK),
}


@dataclass(frozen=True)
class Images(Noised):
    """Pictures in place of points, of some classes in turn; real ones, or such as the network is told."""

    tab = "images"
    optional = (*BETA_RANGE, "level", "kept", "told", *WALK, "beside_sampler", "beside_weight")

    data: tuple = several((), GARMENTS, len(GARMENTS), own=re.escape(own_picture.PREFIX))  # type: ignore[assignment]
    schedule: str = choice("cosine", SCHEDULES)
    n: int = number(20, 10, 64)
    task: str = choice("generate", TASKS)
    told: str = choice("same", ("same", "anything", *GARMENTS))  # of a real picture: what the network takes it for
    weight: float = number(1.0, 0.0, 5.0)  # of guidance
    sampler: str = choice("ddim", RACERS)
    nfe: int = number(25, 2, 200)  # that a picture may cost; each step costs twice as many under guidance
    spacing: str = choice("trailing", SPACINGS)
    level: int = number(500, 1, 2000)  # from which the way back starts
    kept: str = choice("upper", HALVES)
    beside: str = choice("nothing", BESIDE_PICTURES)  # the same from the same noise, but for one thing
    beside_sampler: str = choice("ddpm", RACERS)
    beside_weight: float = number(3.0, 0.0, 5.0)

    def __post_init__(self):
        super().__post_init__()
        for recipe in (self, self.other):
            if self.task == "interpolate" and recipe and TRAITS[recipe.sampler].stochastic:
                raise RecipeError("needs_a_flow", known=", ".join(FLOW_RACERS), got=repr(recipe.sampler))

    def check_data(self) -> None:
        if self.picture is not None:
            if len(self.data) > 1:
                raise RecipeError("picture_or_classes")
            try:
                own_picture.decode(self.picture)
            except OwnDataError as error:
                raise RecipeError(error.key, **error.values) from None

    @property
    def picture(self) -> str | None:
        """A person's own picture, as a text, where it stands in place of classes."""
        return next((part for part in self.data if part not in GARMENTS), None)

    @property
    def idle(self) -> set[str]:
        compared = {f"beside_{self.beside}"} if self.other else set()
        return super().idle | (set(Images.optional) - {*BETA_RANGE, *OWN_FIELDS[self.task], *compared})

    @property
    def alone(self) -> Images:
        """What is computed: without what stands beside it."""
        return dataclasses.replace(
            self, **{f: getattr(Images, f) for f in ("beside", "beside_sampler", "beside_weight")}
        )

    @property
    def other(self) -> Images | None:
        """What stands beside it, if anything."""
        if self.beside == "nothing" or self.task == "forward":
            return None
        return dataclasses.replace(self.alone, **{self.beside: getattr(self, f"beside_{self.beside}")})


RECIPES: dict[str, type[Recipe]] = {kind.tab: kind for kind in (Forward, Reverse, Train, Views, Solvers, Images)}
