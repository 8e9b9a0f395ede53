from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from forethought.bench import Options
from forethought.errors import ConfigError, DataError

Import = Callable[[str, str], ModuleType]

FOLD = np.arange(600) % 5
QUICK = Options(quick=True, data=None, cache=Path())


def write_table(folder: Path, n: int) -> None:
    """A table of the recorded one's form: the middle of the score gains by a vote, its ends do not."""
    rng = np.random.default_rng(0)
    p = rng.permutation(np.linspace(0.02, 0.98, n))
    outcomes = {
        "idx": np.arange(n),
        "subject": ["Algebra"] * n,
        "level": ["Level 3"] * n,
        "problem": [f"What is {row} + {row}?" for row in range(n)],
        "solution": [rf"\boxed{{{2 * row}}}" for row in range(n)],
    }
    scores = {"idx": np.arange(n)}
    for model in ("Qwen2.5-Math-1.5B-Instruct", "Qwen2.5-Math-7B-Instruct"):
        outcomes |= {f"{model}|greedy": (p > 0.7) * 1.0, f"{model}|maj@8@T0.7": (p > 0.4) * 1.0}
        scores |= {f"{model}|greedy": p, f"{model}|maj@8@T0.7": p}
    (folder / "llms_know_difficulty").mkdir()
    pl.DataFrame(outcomes).write_parquet(folder / "llms_know_difficulty" / "math_test_outcomes.parquet")
    pl.DataFrame(scores).write_parquet(folder / "llms_know_difficulty" / "math_test_probe_scores.parquet")


def test_votes_go_where_the_margin_is_not_where_it_is_hard(module: Import, tmp_path: Path) -> None:
    write_table(tmp_path, 400)
    figures = module("voting", "recorded").where_voting_pays(Options(True, tmp_path, tmp_path))
    assert figures["math_7b_gain_d1"].value == 0
    assert figures["math_7b_gain_d6"].value == 1
    assert figures["math_7b_gain_d10"].value == 0
    assert figures["math_7b_gain_all"].n == 400
    # The hardest quarter gains nothing; three tenths lie between the two thresholds.
    assert figures["math_7b_vote25_difficulty"].value == figures["math_7b_greedy_all"].value
    assert figures["math_7b_vote25_margin_over_uniform"].low > 0.1
    assert figures["math_7b_vote25_margin_over_difficulty"].met
    won = figures["math_7b_vote25_hindsight"].value - figures["math_7b_greedy_all"].value
    # A fold may hold fewer gains than votes.
    assert 0.2 < won <= 0.25
    assert figures["math_7b_vote25_uniform"].value == pytest.approx(
        figures["math_7b_greedy_all"].value + 0.075, abs=0.01
    )


def test_a_lacking_table_or_column_is_named(module: Import, tmp_path: Path) -> None:
    recorded = module("voting", "recorded")
    with pytest.raises(ConfigError, match="--data"):
        recorded.where_voting_pays(QUICK)
    write_table(tmp_path, 20)
    table = recorded.read_recorded(Options(True, tmp_path, tmp_path))
    with pytest.raises(DataError, match=r"no column 'x\|greedy'"):
        table.outcome("x|greedy")


def test_predictions_read_no_outcome_of_their_own_fold(module: Import) -> None:
    recorded = module("voting", "recorded")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    gain = (np.abs(X[:, 0]) < 0.5) * 1.0
    turned = np.where(FOLD == 2, 5 - gain, gain)
    for predict in (
        lambda y: recorded.cross_fitted_ridge(X, y, FOLD),
        lambda y: recorded.cross_fitted_bins(X[:, 0], y[:, np.newaxis], FOLD, 10)[:, 0],
    ):
        assert predict(turned)[FOLD == 2] == pytest.approx(predict(gain)[FOLD == 2])
        # A margin in the middle of the feature is found.
        assert np.corrcoef(predict(gain), gain)[0, 1] > 0.4


def test_every_fold_gets_its_share_of_votes(module: Import) -> None:
    taken = module("voting", "recorded").taken
    worth = np.where(FOLD == 0, 10.0, 0.0) + np.arange(600)
    chosen = taken(worth, FOLD, 0.25)
    assert np.bincount(FOLD[chosen]).tolist() == [30] * 5
    for held in range(5):
        rows = held == FOLD
        assert worth[rows & chosen].min() > worth[rows & ~chosen].max()


def test_pass_curve_is_the_share_of_subsets_with_a_right_one(module: Import) -> None:
    curve = module("voting", "repeated").pass_curve(np.array([0, 1, 2, 5]), 5)
    for row, right in zip(curve, (0, 1, 2, 5), strict=True):
        for b in range(6):
            subsets = list(combinations(range(5), b))
            assert row[b] == pytest.approx(np.mean([any(place < right for place in subset) for subset in subsets]))


def test_samples_follow_what_is_predicted(module: Import) -> None:
    repeated = module("voting", "repeated")
    rng = np.random.default_rng(0)
    p = rng.permutation(np.repeat([0.001, 0.1, 0.95], 200))
    right = rng.binomial(20, p)
    feature = np.log(p / (1 - p)) + 0.1 * rng.normal(size=600)
    counts = repeated.allocations(right, 20, feature, FOLD, 4, 3)
    for count in counts.values():
        assert count.mean() <= 4
    assert counts["gains"][p == 0.1].mean() > 8
    assert counts["gains"][p == 0.95].mean() < 3
    figures = repeated.spent_figures("x", right, 20, counts, np.arange(600), QUICK)
    assert figures["x_gains_over_uniform"].met
    assert figures["x_success_over_uniform"].value > 0.05
    assert figures["x_hindsight"].value >= figures["x_gains"].value
    assert figures["x_gains_worth"].value > 5


def test_uniform_is_worth_its_own_budget(module: Import) -> None:
    repeated = module("voting", "repeated")
    curve = repeated.pass_curve(np.random.default_rng(0).integers(0, 11, 50), 10)
    worth = repeated.uniform_worth(curve, curve[:, 4], np.arange(50), QUICK)
    assert (worth.value, worth.low, worth.high) == pytest.approx((4, 4, 4))
