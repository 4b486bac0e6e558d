"""Recipes: what a link says is what is drawn, and nonsense is named."""

import dataclasses
import inspect
import math
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest

from ddpm_core import DATASETS, SAMPLERS, SCHEDULES, MixtureDenoiser, ParticleNoise, sample
from ddpm_core.samplers.registry import TRAITS
from ddpm_ui.exhibits.forward.recipe import Forward
from ddpm_ui.exhibits.registry import EXHIBITS
from ddpm_ui.exhibits.reverse.recipe import Reverse
from ddpm_ui.exhibits.solvers.recipe import MAX_RACERS, Solvers
from ddpm_ui.recipes import RACERS, RecipeError
from ddpm_ui.words import STRINGS

RECIPES = {name: exhibit.recipe for name, exhibit in EXHIBITS.items()}


def extremes(field):
    rule = field.metadata
    if "known" in rule and isinstance(field.default, tuple):
        return (rule["known"][:1], rule["known"][: rule["most"]], rule["known"][1::-1])
    if "known" in rule:
        return rule["known"]
    if isinstance(field.default, bool):
        return (False, True)
    if isinstance(field.default, tuple):
        return ((), (0,), (1, 2, 3))
    return (rule["low"], field.default, rule["high"])


FIELDS = [(kind, field) for kind in RECIPES.values() for field in dataclasses.fields(kind)]
IDS = [f"{kind.tab}-{field.name}" for kind, field in FIELDS]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=IDS)
def test_every_field_survives_the_query_string(kind, field):
    for value in extremes(field):
        changes = {field.name: value}
        if field.name == "beta_min":
            changes["beta_max"] = max(value, kind.beta_max)
        if field.name == "beta_max":
            changes["beta_min"] = min(value, kind.beta_min)
        if value == "optimal":
            changes["denoiser"] = "exact"
        recipe = kind(**changes)
        assert kind.of(dict(parse_qsl(recipe.query))) == recipe


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=IDS)
def test_values_outside_are_refused_with_the_fields_name(kind, field):
    rule = field.metadata
    bad = ["nan", "inf", "1e999", "<script>"] if "low" in rule else ["nonsense", "\x00"]
    if "low" in rule:
        bad += [""] if not isinstance(field.default, tuple) else []  # an empty film strip is the usual one
        bad += [str(rule["low"] - 1), str(rule["high"] + 1), "1" * 400]
    for value in bad:
        with pytest.raises(RecipeError, match=rf"^{field.name} must"):
            kind.of({field.name: value})


@pytest.mark.parametrize("kind", RECIPES.values())
def test_only_optional_fields_are_ever_idle_and_each_sometimes(kind):
    """One field at a time, all its choices: what an idle field says is not in what is asked."""
    seen = {}
    for field in dataclasses.fields(kind):
        for value in field.metadata.get("known", ()):
            if isinstance(field.default, tuple) or value == "optimal":
                continue
            recipe = kind(**{field.name: value})
            for name in kind.optional:
                seen.setdefault(name, set()).add(name in recipe.idle)
            assert recipe.idle <= set(kind.optional)
            assert all(getattr(recipe.asked, name) == getattr(kind, name) for name in recipe.idle)
            assert recipe.asked.asked == recipe.asked
    never = {"beside_sampler", "beside_weight"} & set(kind.optional)  # of all beside nothing, which is the default
    assert {name for name, cases in seen.items() if cases != {True, False}} <= never


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_range_of_beta_is_idle_where_it_changes_nothing(schedule):
    for change in ({"beta_min": 1e-3}, {"beta_max": 0.03}, {"rescale": True}):
        plain, changed = (Forward(schedule=schedule, T=500, **values) for values in ({}, change))
        same = plain.full_schedule.lam.equal(changed.full_schedule.lam)
        assert same == (change.keys() <= plain.idle)


@pytest.mark.parametrize("kind", RECIPES.values())
def test_the_default_recipe_is_the_empty_query(kind):
    assert kind().query == ""
    assert kind.of({}) == kind()


def test_messages_say_the_range():
    with pytest.raises(RecipeError, match="T must be a whole number between 1 and 2000; got '0'"):
        Forward(T=0)
    with pytest.raises(RecipeError, match=r"beta_min must not exceed beta_max; got 0\.1 > 0\.02"):
        Forward(beta_min=0.1)
    with pytest.raises(RecipeError, match="n must be a whole number between 1 and 10000"):
        Reverse(n=10**9)
    with pytest.raises(RecipeError, match=f"sampler must be one of {', '.join(SAMPLERS)}; got 'magic'"):
        Reverse.of({"sampler": "magic"})


def test_numbers_from_controls_and_from_links_are_the_same_recipe():
    assert Forward(T=50.0, seed="7", rescale="true") == Forward.of({"T": "50", "seed": 7, "rescale": True})
    assert hash(Forward(T=50.0)) == hash(Forward(T=50))


def test_unknown_parameters_are_ignored():
    assert Forward.of({"utm_source": "mail", "T": "50"}) == Forward(T=50)


@pytest.mark.parametrize("schedule", Forward.__dataclass_fields__["schedule"].metadata["known"])
@pytest.mark.parametrize("T", [1, 2, 7, 50, 2000])
@pytest.mark.parametrize("rescale", [False, True])
def test_every_allowed_combination_makes_a_schedule(schedule, T, rescale):
    """No slider position may end in a server error."""
    low, high = (SimpleNamespace(**Reverse.__dataclass_fields__[name].metadata) for name in ("beta_min", "beta_max"))
    for beta_min, beta_max in [(low.low, low.low), (low.low, high.high), (low.high, high.high)]:
        recipe = Reverse(schedule=schedule, T=T, rescale=rescale, beta_min=beta_min, beta_max=beta_max, steps=3)
        assert recipe.full_schedule.T == T
        assert min(3, T) == recipe.walked().T
        assert math.isfinite(recipe.full_schedule.terminal_snr)


def test_the_optimal_variance_is_for_the_exact_denoiser():
    assert Reverse(variance="optimal", denoiser="exact").options() == {"variance": "optimal"}
    assert Reverse(variance="optimal", sampler="ddim").options() == {"eta": 0.0}
    with pytest.raises(RecipeError, match=r"^variance must"):
        Reverse(variance="optimal")


@pytest.mark.parametrize("sampler", [name for name, traits in TRAITS.items() if traits.options])
def test_every_option_of_a_sampler_is_one_that_it_takes(sampler):
    options = Reverse(sampler=sampler).options()
    assert options and options.keys() <= set(inspect.signature(SAMPLERS[sampler]).parameters)


def test_a_race_needs_somebody_and_has_room_for_six():
    assert [racer.sampler for racer in Solvers(solvers=("heun", "ddim", "heun")).racers()] == ["heun", "ddim"]
    for bad in ((), RACERS[: MAX_RACERS + 1], ("heun", "adaptive")):
        with pytest.raises(RecipeError, match=r"^solvers must"):
            Solvers(solvers=bad)


@pytest.mark.parametrize("nfe", [1, 5, 40])
@pytest.mark.parametrize("name", RACERS)
def test_a_racer_walks_what_it_can_pay_for(name, nfe):
    racer = next(iter(Solvers(solvers=(name,), nfe=nfe, n=3).racers()))
    noise = ParticleNoise(0, 3)
    assert sample(name, MixtureDenoiser(DATASETS["two_moons"]()), racer.walked(), noise).nfe <= nfe


@pytest.mark.parametrize("language", STRINGS)
@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=IDS)
def test_every_field_and_every_choice_has_words(kind, field, language):
    words = STRINGS[language].keys()
    assert words & {f"field_{field.name}", f"field_{kind.tab}_{field.name}"}
    assert {f"choice_{value}" for value in field.metadata.get("known", ())} <= words
