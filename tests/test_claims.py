"""docs/CLAIMS.md and the lists of the audit name tests, sentences, samplers and metrics that exist; nothing is run."""

import ast
import re
from pathlib import Path

import pytest

from audit import metrics, samplers, sentences
from ddpm_core import METRICS, SAMPLERS
from ddpm_ui.words import STRINGS

ROOT = Path(__file__).parents[1]
CLAIMS = (ROOT / "docs" / "CLAIMS.md").read_text(encoding="utf-8")
JUDGED = {
    "mixture": {"log density", "score", "denoiser", "posterior variance"},
    "samplers": {*SAMPLERS, "order", "exact flow"},
    "metrics": set(METRICS),
    "sentences": {*sentences.CLAIMS, "README"},
}


def test_every_test_named_in_the_claims_exists():
    """A claim is held by nothing once its test has another name."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", CLAIMS)
    found = {
        (path, node.name)
        for path in {path for path, _ in named}
        for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert len(named) > 100 and not set(named) - found


def test_every_row_of_the_audit_named_in_the_claims_exists():
    named = re.findall(r"`audit (\w+): ([^`]+)`", CLAIMS)
    assert named and not [(part, name) for part, name in named if name not in JUDGED[part]]


def test_every_sentence_named_in_the_claims_exists():
    page = CLAIMS[CLAIMS.index("## The page") : CLAIMS.index("## README.md")]
    keys = {key for row in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)}
    assert len(keys) > 80 and not keys - set(STRINGS["en"])


def test_every_measured_sentence_is_among_the_claims():
    assert not [key for key in sentences.CLAIMS if f"`{key}`" not in CLAIMS]


def test_every_sentence_with_a_number_is_measured_or_a_name():
    """A new one has to be given a measurement, or to be called what it is."""
    assert sentences.unclassified() == []


@pytest.mark.parametrize("key", sentences.CLAIMS)
def test_numbers_still_stand_in_their_sentences(key):
    assert all(claim.text in STRINGS["en"][key] for claim in sentences.CLAIMS[key])


def test_every_sampler_and_every_metric_has_a_judge():
    assert {trial.sampler for trial in samplers.TRIALS} == set(SAMPLERS)
    assert {*metrics.TWO_CLOUDS, *metrics.ONE_CLOUD, "sliced_w2"} == set(METRICS)
