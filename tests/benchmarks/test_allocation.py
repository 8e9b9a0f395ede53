from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from forethought.bench import Options


def test_both_solvers_agree_on_a_batch(module: Callable[[str, str], ModuleType]) -> None:
    figures = module("allocation", "run").batch_figures(quick=True)
    assert figures["greedy_milp_difference"].met
    assert figures["milp_over_greedy"].value > 1


@pytest.mark.parametrize("harder", [True, False])
def test_a_stream_shifts_and_stays_near_its_budget(module: Callable[[str, str], ModuleType], harder: bool) -> None:
    stream, pacing = module("allocation", "stream"), module("allocation", "pacing")
    drawn = stream.draw_stream(0, harder=harder, size=20_000)
    before, after = np.split(drawn.requests.gain[:, 0], 2)
    assert (before.mean() > after.mean() + 0.1) == harder
    assert drawn.requests.paid.mean() == pytest.approx(drawn.requests.cost.mean(), rel=0.02)
    run = pacing.followed(0, harder=harder, window=300, size=20_000)
    assert abs(run.error) < 0.02
    assert run.gain > 0.95
    assert -0.01 < run.fixed_error <= 0


def test_recorded_figures_are_left_out_without_recorded_tables(
    module: Callable[[str, str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = module("allocation", "budgets")
    assert budgets.recorded_figures(Options(quick=True, data=None, cache=tmp_path)) == {}
    assert budgets.recorded_figures(Options(quick=True, data=tmp_path, cache=tmp_path)) == {}
    said = capsys.readouterr().err
    assert "give their folder by --data" in said
    assert "without llms_know_difficulty, outcomes/mmlu_pro" in said


def test_no_prediction_sees_a_label_of_its_fold_or_of_the_one_it_is_calibrated_on(
    module: Callable[[str, str], ModuleType],
) -> None:
    recorded = module("allocation", "recorded")
    table = importlib.import_module("own").own_table().drawn(160)
    first = next(recorded.predicted(table))
    assert len(first.rows) + len(first.serving.calibration.cost) + len(first.serving.past.cost) == len(table)
    fold = recorded.folds(table.questions, recorded.FOLDS, recorded.SEED)
    seen = (fold == 2) | (fold == 3)
    flipped = replace(table, success=np.where(seen[:, None], table.success, 1 - table.success))
    again = next(recorded.predicted(flipped))
    assert (flipped.success[first.rows] != table.success[first.rows]).all()
    for name in ("past", "calibration", "served"):
        for a, b in zip(getattr(first.serving, name), getattr(again.serving, name), strict=True):
            np.testing.assert_array_equal(a, b)


def test_budgets_are_served_and_compared_at_equal_bills(module: Callable[[str, str], ModuleType]) -> None:
    budgets, recorded = module("allocation", "budgets"), module("allocation", "recorded")
    table = importlib.import_module("own").own_table().drawn(240)
    served = budgets.serve(table, list(recorded.predicted(table)))
    assert not np.isnan(served.right).any()
    assert (np.diff(served.budget, axis=0) >= 0).all()
    figures = budgets.table_figures(table, served, draws=20)
    assert figures["own-5_price_minus_utility"].value == pytest.approx(0.0, abs=2.0)
    assert figures["own-5_batch_minus_mixture"].goal == "interval > 0"
    accuracy = 100 * served.right.mean(axis=2)
    assert figures["own-5_40_price_accuracy"].value == pytest.approx(accuracy[1, 4])
    as_set = (accuracy[0] - accuracy[4])[[2, 4, 6, 8]].mean()
    assert figures["own-5_batch_minus_tolerance_as_set"].value == pytest.approx(as_set)


def test_equal_bills_by_hand(module: Callable[[str, str], ModuleType]) -> None:
    budgets = module("allocation", "budgets")
    accuracy, bill = np.full((6, 2), 50.0), np.tile([1.0, 2.0], (6, 1))
    accuracy[:3] = [60.0, 80.0]
    bill[4] = [1.5, 5.0]  # between our two bills, and above both
    gains = budgets.gains_at_equal_bills(accuracy, bill)
    np.testing.assert_allclose(gains[0], [[10, 30], [20, 30], [10, 30]])


def test_votes_of_math_cost_their_number_of_answers(module: Callable[[str, str], ModuleType], tmp_path: Path) -> None:
    recorded = module("allocation", "recorded")
    folder = tmp_path / "llms_know_difficulty"
    folder.mkdir()
    columns = {name: [1.0, 0.0] for name in recorded.MATH_OPTIONS}
    text = {"idx": [0, 1], "subject": ["Algebra"] * 2, "level": ["Level 1"] * 2, "problem": ["1+1?", "2+2?"],
            "solution": [r"\boxed{2}", r"\boxed{4}"]}  # fmt: skip
    pl.DataFrame({**text, **columns}).write_parquet(folder / "math_test_outcomes.parquet")
    means = {
        model: 5.0 * (i + 1) for i, model in enumerate(dict.fromkeys(m for m, _ in recorded.MATH_OPTIONS.values()))
    }
    prices = {"mean_cost_per_question_5_samples_usd": {"MATH(train)": means}}
    (folder / "prices.json").write_text(json.dumps(prices))
    table = recorded.math_votes(tmp_path)
    np.testing.assert_allclose(table.cost, [[1, 8, 2, 16, 3, 24]] * 2)
    np.testing.assert_array_equal(np.sort(table.success, axis=0), [[0.0] * 6, [1.0] * 6])
