"""The routing benchmark's own rules: nothing is chosen on test rows, folds hold, intervals pair, figures add up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from forethought.core import Question
from forethought.metrics import Interval

Import = Callable[[str, str], ModuleType]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(module: Import) -> Callable[[str], ModuleType]:
    return lambda name: module("routing", name)


def table(load: Callable[[str], ModuleType], n: int = 200, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    questions = [Question.ask(f"question {seed} {i}", group=f"g{i % 7}") for i in range(n)]
    return load("tables").Table("toy-3", questions, ("a", "b", "c"), (rng.random((n, 3)) < 0.5).astype(float))


def view(load: Callable[[str], ModuleType], kind: str = "in_domain", **changes: Any) -> Any:
    splits, toy = load("splits"), replace(table(load), **changes)
    component = splits.global_components([toy])
    if kind == "in_domain":
        split = splits.by_question(toy, splits.global_folds([toy], 0), component)
    else:
        split = splits.by_group(toy, component, 0)
    return load("crossfit").View(toy, split, None, load("auxiliary").Auxiliary.none(toy))


@dataclass(frozen=True)
class Memory:
    """Predicts the mean label of its training rows plus what it remembers of their neighbours by row number."""

    name: str = "memory"
    kind: str = "text"
    salt: float = 0.0

    def predict(self, view: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        Y = view.table.success[train]
        near = np.abs(train[None] - test[:, None] - self.salt).argmin(axis=1)
        return 0.5 * Y.mean(axis=0) + 0.5 * Y[near]


@pytest.mark.parametrize("kind", ["in_domain", "groups_held_out"])
def test_predictions_are_blind_to_the_folds_they_are_for(load: Callable[[str], ModuleType], kind: str) -> None:
    crossfit, whole = load("crossfit"), view(load, kind)
    fold = whole.split.fold
    before = crossfit.cross_fit(Memory(), whole, inner=True)
    flipped = np.where((fold == 2)[:, None], 1 - whole.table.success, whole.table.success)
    turned = replace(whole, table=replace(whole.table, success=flipped))
    after = crossfit.cross_fit(Memory(), turned, inner=True)
    np.testing.assert_array_equal(after.test[fold == 2], before.test[fold == 2])
    np.testing.assert_array_equal(after.inner[2], before.inner[2])
    for other in (0, 1, 3, 4):
        np.testing.assert_array_equal(after.inner[other][fold == 2], before.inner[other][fold == 2])
    assert np.abs(after.test[fold != 2] - before.test[fold != 2]).max() > 0


def test_inner_predictions_cover_exactly_the_training_rows(load: Callable[[str], ModuleType]) -> None:
    whole = view(load)
    found = load("crossfit").cross_fit(Memory(), whole, inner=True)
    for held in range(5):
        np.testing.assert_array_equal(np.isnan(found.inner[held]).all(axis=1), whole.split.fold == held)
    assert np.isfinite(found.test).all()


def test_a_champion_is_chosen_without_the_folds_own_labels(load: Callable[[str], ModuleType]) -> None:
    choice, contest, crossfit = load("choice"), load("contest"), load("crossfit")

    def chosen(whole: Any) -> tuple[str, ...]:
        peers = [Memory("one"), Memory("two", salt=3.0), Memory("three", salt=9.0)]
        fits = {p.name: contest.Fitted(crossfit.cross_fit(p, whole, inner=True), p.kind, 0.0) for p in peers}
        return choice.champion(whole, fits, list(fits)).names

    whole = view(load)
    names = chosen(whole)
    for held in range(5):
        flip = (whole.split.fold == held)[:, None]
        turned = replace(whole.table, success=np.where(flip, 1 - whole.table.success, whole.table.success))
        assert chosen(replace(whole, table=turned))[held] == names[held]


def test_one_text_stands_in_one_fold_of_every_table(load: Callable[[str], ModuleType]) -> None:
    splits, first = load("splits"), table(load)
    second = replace(first.take(np.arange(50, 150)), name="toy-4")
    fold = splits.global_folds([first, second], 0)
    component = splits.global_components([first, second])
    a, b = (splits.by_question(t, fold, component) for t in (first, second))
    np.testing.assert_array_equal(a.fold[50:150], b.fold)
    np.testing.assert_array_equal(a.component[50:150], b.component)


def test_groups_are_held_out_whole_and_shared_texts_leave_training(load: Callable[[str], ModuleType]) -> None:
    splits, toy = load("splits"), table(load)
    questions = list(toy.questions)
    questions[8] = replace(questions[8], messages=questions[0].messages)  # group g1, the text of group g0
    component = splits.global_components([replace(toy, questions=questions)])
    split = splits.by_group(replace(toy, questions=questions), component, 0)
    groups = np.array([question.group for question in questions])
    for held in range(5):
        train, test = split.train(held), split.test(held)
        assert not set(groups[train]) & set(groups[test])
        assert not set(split.component[train]) & set(split.component[test])
    assert splits.by_group(toy.take(np.arange(0, 200, 7)), component, 0) is None


def test_drawing_less_draws_a_part(load: Callable[[str], ModuleType]) -> None:
    toy = table(load)
    assert set(toy.drawn(40).ids) < set(toy.drawn(90).ids)
    assert len(toy.drawn(500)) == 200


def test_a_fitted_contender_is_read_back_and_not_fitted_again(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest, whole = load("contest"), view(load)
    entry = contest.Entry(Memory(), inner=True)
    first = contest.run(whole, [entry], tmp_path)["memory"]
    monkeypatch.setattr(contest, "cross_fit", lambda *args, **rest: pytest.fail("fitted again"))
    again = contest.run(whole, [entry], tmp_path)["memory"]
    np.testing.assert_array_equal(again.predictions.test, first.predictions.test)
    np.testing.assert_allclose(again.predictions.inner, first.predictions.inner, atol=1e-6)
    flipped = replace(whole, table=replace(whole.table, success=1 - whole.table.success))
    with pytest.raises(BaseException, match="fitted again"):
        contest.run(flipped, [entry], tmp_path)


def test_pooled_gap_is_the_sum_of_gains_over_the_sum_of_headrooms(load: Callable[[str], ModuleType]) -> None:
    tally, compare = load("tally"), load("compare")
    one = {"single": np.array([0.0, 1, 0, 1]), "oracle": np.array([1.0, 1, 1, 1]), "x": np.array([1.0, 1, 0, 1])}
    two = {"single": np.array([0.0, 0]), "oracle": np.array([1.0, 0]), "x": np.array([0.0, 0])}
    tallies = {
        "one": tally.Tally.of(one, np.array([0, 1, 2, 3]), 5),
        "two": tally.Tally.of(two, np.array([3, 4]), 5),
    }
    both = tally.pooled(tallies)
    totals = dict(zip(both.names, both.sums.sum(axis=0), strict=True))
    # Gains 1/4 and 0, headrooms 2/4 and 1/2.
    assert compare._pooled_gap(totals, ["one", "two"], "x") == pytest.approx(0.25)
    assert compare._mean_gap(totals, ["one", "two"], "x") == pytest.approx(0.25)
    assert both.n == 6
    empty = {**totals, "two/n": 0.0}
    assert np.isnan(compare._pooled_gap(empty, ["one", "two"], "x"))


def test_equal_routers_differ_by_exactly_nothing(load: Callable[[str], ModuleType]) -> None:
    tally = load("tally").Tally.of({"a": np.arange(50.0), "b": np.arange(50.0)}, np.arange(50), 80)
    same, level = tally.intervals([lambda t: t["a"] - t["b"], lambda t: t["a"] / t["n"]], draws=100, seed=0)
    assert (same.value, same.low, same.high, same.n) == (0.0, 0.0, 0.0, 50)
    assert level.low < 24.5 < level.high


def test_holm_and_detectable_by_hand(load: Callable[[str], ModuleType]) -> None:
    tally = load("tally")
    adjusted = tally.holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    interval = Interval(0.0, -0.0196, 0.0196, 100)
    assert tally.standard_error(interval, 100_000) == pytest.approx(0.01, rel=1e-3)
    assert tally.detectable(interval, 100_000) == pytest.approx(0.02802, rel=1e-3)
    assert tally.two_sided_p(Interval(0.0196, 0.0, 0.0392, 100), 100_000) == pytest.approx(0.05, rel=1e-2)


def test_seven_clusters_get_wider_intervals_than_the_bootstrap_gives(load: Callable[[str], ModuleType]) -> None:
    tally = load("tally")
    few, many = (tally._widened(Interval(1.0, 0.5, 1.5, 9), clusters) for clusters in (7, 100_000))
    # Student's 2.4469 over 1.96, times the root of 7 / 6.
    assert few.high - few.value == pytest.approx(0.5 * 2.4469 / 1.96 * (7 / 6) ** 0.5, rel=1e-3)
    assert many.high == pytest.approx(1.5, rel=1e-4)


def test_labels_needed_lie_between_the_sizes_that_frame_them(load: Callable[[str], ModuleType]) -> None:
    needed = load("labels").labels_needed
    gains = {50: 0.0, 100: 1.0, 400: 3.0, 1600: 4.0}
    assert needed(gains, 0.25) == pytest.approx(100)
    assert needed(gains, 0.5) == pytest.approx(200)
    assert needed(gains, 1.0) == pytest.approx(1600)
    assert needed({50: -1.0, 100: -1.0}, 0.5) == pytest.approx(float("nan"), nan_ok=True)


def test_thrifty_setting_is_chosen_on_inner_rows_and_loses_nothing_there(load: Callable[[str], ModuleType]) -> None:
    choice = load("choice")
    rng = np.random.default_rng(1)
    cost = np.tile([1.0, 2.0, 30.0], (200, 1))
    whole = view(load, cost=cost, success=np.column_stack([rng.random(200) < p for p in (0.7, 0.7, 0.7)]).astype(float))
    P = 0.8 * whole.table.success + 0.1  # knows every answer
    inner = np.tile(P, (5, 1, 1))
    for held in range(5):
        inner[held][whole.split.fold == held] = np.nan
    chosen = choice.thrifty_choice(whole, P, inner, choice.mean_cost(whole))
    spent = cost[np.arange(200), chosen].mean()
    assert whole.table.success[np.arange(200), chosen].mean() > 0.7
    assert spent < 5


@pytest.mark.integration
def test_quick_run_routes_the_committed_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forethought", "bench", "routing", "--quick", "--json", "--cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    result = json.loads(done.stdout)
    assert result["command"] == "forethought bench routing --quick --json"
    assert -1 < result["figures"]["pooled_difference"]["value"] < 1
    assert result["figures"]["pooled_difference"]["n"] == 240
    page = (tmp_path / "report-in_domain.html").read_text()
    assert "own-5" in page
    assert "<svg" in page
    assert "<script" not in page
    assert "best text peer" in (tmp_path / "report-in_domain.md").read_text()


@dataclass(frozen=True)
class Overconfident:
    """Knows each question's odds and doubles them."""

    odds: np.ndarray
    name: str = "overconfident"
    kind: str = "activations"

    def predict(self, view: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(2 * self.odds[test] + 1)))


def test_recalibration_repairs_an_overconfident_router(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = load("labels")
    monkeypatch.setattr(labels, "LABELS", (50, 400))
    rng = np.random.default_rng(4)
    odds = rng.normal(size=(2000, 3))
    toy = replace(table(load, n=2000), success=(rng.random((2000, 3)) < 1 / (1 + np.exp(-odds))).astype(float))
    splits = load("splits")
    split = splits.by_group(toy, splits.global_components([toy]), 0)
    whole = load("crossfit").View(toy, split, None, load("auxiliary").Auxiliary.none(toy))
    first, second = labels.group_halves(whole)
    groups = np.array(toy.groups)
    assert not set(groups[first]) & set(groups[second])
    found = labels.recalibration(whole, Overconfident(odds), seed=0, draws=4)
    assert found.before > 0.1
    for way in labels.WAYS:
        assert found.error[way][400] < 0.03
        assert abs(found.excess[way][400]) < 0.005
        assert found.excess[way][50] > found.excess[way][400]


def test_a_curve_tests_no_row_it_learned_from(load: Callable[[str], ModuleType]) -> None:
    labels, whole = load("labels"), view(load)
    seen: list[tuple[int, ...]] = []

    class Spy(Memory):
        def predict(self, view: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            assert not set(train) & set(test)
            seen.append((len(train), len(test)))
            return Memory.predict(self, view, train, test)

    curve = labels.learning_curve(whole, Spy(), seed=0)
    assert list(curve) == [50, 100]
    assert {size for size, _ in seen} == {50, 100}
    assert len(seen) == 2 * 2 * 5
    gained = labels.gains(whole, curve, curve[100])
    assert gained[160] == pytest.approx(gained[100])
