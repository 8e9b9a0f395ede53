from __future__ import annotations

import dataclasses
import math

import pytest

from forethought import DecodingPolicy, FeatureSpec, Message, Outcome, Prices, Question, Target
from forethought.errors import ArtifactError, BudgetError, ConfigError, DataError, FeatureError, UpstreamError
from forethought.registry import Registry


def test_a_question_has_an_id_and_ends_with_the_user():
    with pytest.raises(DataError, match="empty id"):
        Question("", (Message("user", "hi"),))
    with pytest.raises(DataError, match="'q' must end with a user turn"):
        Question("q", (Message("user", "hi"), Message("assistant", "ho")))
    with pytest.raises(DataError, match="user turn"):
        Question("q", ())


def test_a_text_gives_the_same_id_every_time():
    assert Question.ask("What?").id == Question.ask("What?").id != Question.ask("What").id
    assert Question.ask("What?", id="own").text == "What?"


@pytest.mark.parametrize("values", [(-1.0, 0.0), (0.0, math.nan), (1.0, 1.0, -0.1)])
def test_prices_are_not_negative(values):
    with pytest.raises(ConfigError, match=">= 0"):
        Prices(*values)


def test_a_cost_by_hand():
    assert Prices(1.0, 4.0).cost(1_000_000, 250_000) == 2.0
    assert Prices(1.0, 4.0).cost(1_000_000, 250_000, cached_tokens=800_000) == 2.0
    assert Prices(1.0, 4.0, cached_input=0.25).cost(1_000_000, 250_000, cached_tokens=800_000) == 1.4


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"votes": 0},
        {"max_tokens": 0},
        {"shots": -1},
        {"votes": 5, "temperature": 0.0},
    ],
)
def test_a_decoding_policy_refuses(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        DecodingPolicy(**setting)


@pytest.mark.parametrize("success", [-0.1, 1.1, math.nan])
def test_success_lies_between_zero_and_one(success):
    with pytest.raises(DataError, match="'q' by 't'"):
        Outcome("q", "t", success=success)


def test_a_target_has_a_name():
    with pytest.raises(ConfigError, match="name"):
        Target("", "model")


def test_every_field_is_in_the_hash_of_a_spec():
    spec = FeatureSpec("e", "w", "t", (3,), "last")
    others = {"encoder": "x", "weights": "x", "template": "x", "layers": (4,), "readout": "mean", "dtype": "bfloat16"}
    assert set(others) == {field.name for field in dataclasses.fields(spec)}
    hashes = {dataclasses.replace(spec, **{name: value}).hash for name, value in others.items()}
    assert len(hashes | {spec.hash}) == len(others) + 1
    assert spec.hash == FeatureSpec("e", "w", "t", (3,), "last").hash


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (ConfigError, ValueError),
        (DataError, ValueError),
        (FeatureError, ValueError),
        (ArtifactError, OSError),
        (UpstreamError, RuntimeError),
        (BudgetError, ValueError),
    ],
)
def test_errors_are_standard_types_too(error, standard):
    with pytest.raises(standard, match="what"):
        raise error("what")


def test_a_registry_names_what_it_has():
    mappings = Registry[type]("mapping", "forethought.test.mappings", {"ordered": "collections:OrderedDict"})
    assert mappings["ordered"].__name__ == "OrderedDict"
    assert "ordered" in mappings
    assert "other" not in mappings
    with pytest.raises(ConfigError, match="unknown mapping 'other'; allowed: ordered"):
        mappings["other"]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_question_is_refused(text):
    with pytest.raises(DataError, match="is empty"):
        Question.ask(text)
