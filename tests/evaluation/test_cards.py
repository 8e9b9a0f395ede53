from __future__ import annotations

import numpy as np
import pytest

from forethought.evaluation import Truth, difference, score_card

REPEATS = 60
SUCCESS = np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], (REPEATS, 1))
COST = np.tile([[1.0, 4.0]], (len(SUCCESS), 1))
RIGHT = np.tile([[0.9, 0.1], [0.1, 0.9], [0.9, 0.8], [0.2, 0.1]], (REPEATS, 1))
WRONG = 1 - RIGHT


def truth(success: np.ndarray = SUCCESS) -> Truth:
    groups = np.array(["even", "odd"] * (len(success) // 2))
    return Truth(success, COST, groups, best_single=0, clusters=np.arange(len(success)))


def test_a_perfect_contender_by_hand():
    card = score_card("oracle", "labels", RIGHT, truth(), draws=200)
    assert card.accuracy.value == 0.75
    assert card.accuracy.n == len(SUCCESS)
    assert card.accuracy.low < 0.75 < card.accuracy.high
    assert card.gap is not None
    assert card.gap.value == pytest.approx(1.0)
    assert card.auroc.value == 1.0
    assert card.disagree == 1.0
    assert card.cost == pytest.approx((1 + 4 + 1 + 1) / 4)
    assert card.brier.value == pytest.approx(np.mean((RIGHT - SUCCESS) ** 2))


def test_a_contender_that_is_always_wrong():
    card = score_card("contrary", "labels", WRONG, truth(), draws=200)
    assert card.accuracy.value == 0.25
    assert card.gap is not None
    assert card.gap.value == pytest.approx(-1.0)
    assert card.auroc.value == 0.0
    assert card.disagree == 0.0


def test_the_base_rate_closes_nothing_and_ranks_nothing():
    card = score_card("base rate", "nothing", np.tile([[0.5, 0.49]], (len(SUCCESS), 1)), truth(), draws=100)
    assert card.gap is not None
    assert card.gap.value == 0.0
    assert card.auroc.value == 0.5
    assert card.within.value == 0.5


def test_the_gap_is_undefined_without_headroom():
    same = np.tile(SUCCESS[:, :1], (1, 2))
    assert score_card("any", "labels", RIGHT, truth(same), draws=100).gap is None
    assert difference("right", RIGHT, "wrong", WRONG, truth(same), draws=50).gap is None


def test_missing_labels_are_left_out_and_not_wrong():
    known = SUCCESS.copy()
    known[::4, 0] = np.nan  # the chosen target of every first kind of question
    card = score_card("oracle", "labels", RIGHT, truth(known), draws=100)
    assert card.accuracy.value == pytest.approx(2 / 3)
    assert card.auroc.value == 1.0


def test_the_difference_is_of_the_share_of_the_gap():
    found = difference("right", RIGHT, "wrong", WRONG, truth(), draws=300)
    assert (found.name, found.other) == ("right", "wrong")
    assert found.gap.value == pytest.approx(0.5 / 0.25)
    assert found.gap.low > 0
    assert found.auroc.value == 1.0


def test_a_contender_does_not_differ_from_itself():
    found = difference("a", RIGHT, "b", RIGHT, truth(), draws=50)
    assert tuple(found.gap[:3]) == tuple(found.auroc[:3]) == (0.0, 0.0, 0.0)


def test_whole_clusters_are_drawn():
    """Repeating every question tenfold within its cluster must not narrow the interval."""
    rows = np.repeat(np.arange(40), 10)
    once = Truth(SUCCESS[:40], COST[:40], np.array(["g"] * 40), 0, np.arange(40))
    tenfold = Truth(SUCCESS[rows], COST[rows], np.array(["g"] * 400), 0, rows)
    narrow = score_card("a", "s", RIGHT[:40], once, draws=400).accuracy
    wide = score_card("a", "s", RIGHT[rows], tenfold, draws=400).accuracy
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=0.15)


def test_calibration_error_allows_for_no_more_noise_than_the_trials_leave():
    """Rates over 40 samples are nearly exact: an error of .05 is seen, which one sample each would hide."""
    rng = np.random.default_rng(5)
    p = rng.uniform(0.2, 0.8, (400, 1))
    rates = rng.binomial(40, p - 0.05) / 40
    many = Truth(rates, np.ones_like(p), np.array(["g"] * 400), 0, np.arange(400), np.full((400, 1), 40.0))
    once = Truth(rates, np.ones_like(p), np.array(["g"] * 400), 0, np.arange(400))
    assert many.calibration_error(p, 0) == pytest.approx(0.05, abs=0.02)
    assert once.calibration_error(p, 0) < many.calibration_error(p, 0) - 0.02
