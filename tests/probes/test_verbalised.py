from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.probes.verbalised import VerbalisedConfidence, confidence_prompt, parse_confidence


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.85", 0.85),
        (".85", 0.85),
        ("1", 1.0),
        ("0", 0.0),
        ("85%", 0.85),
        ("about 85 percent", 0.85),
        ("85", 0.85),
        ("8/10", 0.8),
        ("8 out of 10", 0.8),
        (r"There are 3 steps, so \boxed{0.7}", 0.7),
        ("Question 4 is easy. Confidence: 90%", 0.9),
        ("Probability of 0.25.", 0.25),
        ("In 1969 it was hard; 60%", 0.6),
        ("1.0", 1.0),
        ("0.5%", 0.005),
    ],
)
def test_stated_values(text, value):
    assert parse_confidence(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "very sure", "1969", "-0.5", "1.5", "11/10", "5/0"])
def test_nothing_stated(text):
    assert parse_confidence(text) is None


@given(st.text())
def test_always_a_probability_or_none(text):
    value = parse_confidence(text)
    assert value is None or 0 <= value <= 1


@given(st.integers(0, 1000))
def test_reads_back_what_is_written(thousandths):
    assert parse_confidence(f"Confidence: {thousandths / 1000:.3f}") == pytest.approx(thousandths / 1000)


def test_unparsable_counts_as_one_half():
    np.testing.assert_allclose(VerbalisedConfidence().predict_proba([["80%", "no idea"]]), [[0.8, 0.5]])


def test_the_prompt_holds_the_question():
    assert "What is 2+2?" in confidence_prompt("What is 2+2?")
