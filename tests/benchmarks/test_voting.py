from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from forethought.bench import Options
from forethought.core import Question
from forethought.voting import (
    AdaptiveConsistency,
    AheadBy,
    BayesVote,
    MajorityVote,
    Samples,
    SequentialVote,
    broad_prior,
    fit_gated_prior,
    replay,
)

Import = Callable[[str, str], ModuleType]

QUESTIONS = 120
SURE, HOPELESS, OPEN = np.array([0.97, 0.03, 0.5]), 1, 2


def planted(questions: int = QUESTIONS, drawn: int = 20) -> Samples:
    """A third each: nearly always right, nearly always wrong in the same way, and right half the time."""
    rng = np.random.default_rng(0)
    p = SURE[np.arange(questions) % 3]
    right = rng.random((questions, drawn)) < p[:, np.newaxis]
    scattered = np.arange(questions) % 3 == OPEN
    wrong = np.where(scattered[:, np.newaxis], rng.integers(0, 30, right.shape), 0)
    answers = np.where(right, "right", np.char.add("wrong ", wrong.astype(str))).astype(object)
    answers[rng.random(right.shape) < 0.02] = None
    return Samples(
        question_ids=tuple(map(str, range(questions))),
        target="planted",
        answers=answers,
        success=(answers == "right").astype(float),
        input_tokens=np.full(questions, 50.0),
        output_tokens=rng.integers(1, 9, right.shape).astype(float),
    )


def record_of(crossfit: ModuleType, samples: Samples) -> object:
    return crossfit.Record.of(samples, [Question.ask(f"text {id}", id=id) for id in samples.question_ids])


def knowing(record: SimpleNamespace, *_: object) -> list[SimpleNamespace]:
    """What a probe would hand over that knows the kind of each question and no more."""
    samples = record.samples
    kind = np.arange(len(samples)) % 3
    forecasts = np.array([[0.95, 0.9], [0.05, 0.9], [0.5, 0.25]])[kind]
    fits = []
    for fold in range(5):
        train, test = np.flatnonzero(record.fold != fold), np.flatnonzero(record.fold == fold)
        gated = fit_gated_prior(samples.take(train), forecasts[train], np.arange(len(train)) % 3)
        fits.append(SimpleNamespace(train=train, test=test, gated=gated, forecasts=forecasts[test]))
    return fits


@pytest.mark.parametrize(
    "rule",
    [
        SequentialVote(8, 3),
        AdaptiveConsistency(16, 0.9),
        AdaptiveConsistency(8, 0.99),
        AheadBy(16, 2),
        BayesVote(price=0.01),
    ],
)
def test_a_rule_asked_once_a_partition_is_the_rule_replayed(module: Import, rule: object) -> None:
    rules, samples = module("voting", "rules"), planted(30)
    fast = rules.Orders.of(samples, 2).counted([rule])[:, 0]
    slow = [replay(rule, samples.shuffled(seed)) for seed in range(2)]
    for column, name in enumerate(("samples", "success", "output_tokens", "input_tokens")):
        assert fast[:, column] == pytest.approx(np.mean([getattr(part, name) for part in slow], axis=0))


def test_majority_curve_is_the_majority_vote(module: Import) -> None:
    rules, samples = module("voting", "rules"), planted(30)
    curve = rules.Orders.of(samples, 1).majority()
    for cap in (1, 5, 16):
        assert curve[:, cap - 1, rules.SUCCESS] == pytest.approx(replay(MajorityVote(cap), samples.shuffled(0)).success)
        assert (curve[:, cap - 1, rules.SAMPLES] == cap).all()


def test_rows_taken_are_rows_of_the_whole(module: Import) -> None:
    orders = module("voting", "rules").Orders.of(planted(30), 3)
    rows = np.array([4, 0, 17])
    assert orders.take(rows).bayes(broad_prior()) == pytest.approx(orders.bayes(broad_prior())[rows])


def test_settings_are_chosen_on_training_rows_alone(module: Import) -> None:
    rules = module("voting", "rules")
    settings = np.zeros((4, 2, 4))
    # On the training rows the dear setting gains .5 for one answer more; on the test rows it loses.
    settings[:, :, rules.SAMPLES] = [1, 2]
    settings[:, :, rules.SUCCESS] = [[0, 0.5], [0, 0.5], [1, 0], [1, 0]]
    chosen = rules.tuned(settings, np.array([0, 1]), np.array([2, 3]))
    assert chosen.shape == (2, len(rules.TUNING), 4)
    assert (chosen[:, :, rules.SUCCESS] == 0).all()


def curve_of(points: list[tuple[float, float]], n: int = 40) -> np.ndarray:
    """Every question alike: (samples, success) a setting."""
    curve = np.zeros((n, len(points), 4))
    curve[:, :, :2] = points
    return curve


def test_ratio_of_samples_is_read_between_points_at_equal_accuracy(module: Import) -> None:
    figures = module("voting", "figures")
    curves = {
        "mv": curve_of([(k, 0.4 + 0.2 * (k - 1) / 15) for k in range(1, 17)]),
        "quick": curve_of([(4, 0.6)]),
        "short": curve_of([(2, 0.52)]),
    }
    pairs = {"same": ("mv", "mv"), "quick_over_mv": ("quick", "mv"), "short_over_mv": ("short", "mv")}
    found = figures.equal_accuracy(curves, pairs, figures.Bootstrap(np.arange(40), 20))
    assert {found[f"same{part}"].value for part in ("", "_50", "_75", "_90")} == {1.0}
    # Half the way: 1 + 3/2 answers against 1 + 15/2; and so on.
    by_hand = [(1 + 3 * share) / (1 + 15 * share) for share in (0.5, 0.75, 0.9)]
    assert [found[f"quick_over_mv_{share}"].value for share in (50, 75, 90)] == pytest.approx(by_hand)
    assert found["quick_over_mv"].value == pytest.approx(np.prod(by_hand) ** (1 / 3))
    assert found["quick_over_mv"].low == pytest.approx(found["quick_over_mv"].high)
    # Beyond a method's own best it is mixed with the vote of 16.
    by_hand = (2 + 14 * (0.55 - 0.52) / (0.6 - 0.52)) / 12.25
    assert found["short_over_mv_75"].value == pytest.approx(by_hand)


def test_the_setting_is_the_cheapest_that_loses_little_on_training_rows(module: Import) -> None:
    crossfit = module("voting", "crossfit")
    majority = curve_of([(k, 0.6) for k in range(1, 17)], 4)
    probe = curve_of([(5, 0.6), (3, 0.596), (2, 0.59)], 4)
    probe[2:, 1, 1] = 0.5
    one = SimpleNamespace(train=np.array([0, 1]), test=np.array([2, 3]))
    other = SimpleNamespace(train=np.array([2, 3]), test=np.array([0, 1]))
    chosen = crossfit.chosen_setting(probe, majority, [one, other])
    # What is worth least on the test rows may still be what the training rows chose.
    assert chosen[:, 0].tolist() == [5, 5, 3, 3]


def test_adaptive_consistency_at_forty_is_as_published(module: Import) -> None:
    found = module("voting", "exact_limit").exact_figures()
    assert found["adaptive_consistency_samples_n40"].met
    assert found["adaptive_consistency_samples_n40"].value == pytest.approx(14.0, abs=0.05)
    assert found["adaptive_consistency_disagreement_n40"].value == pytest.approx(0.0703, abs=1e-4)
    assert 1.1 < found["adaptive_consistency_over_limit"].value < 1.2


def test_competing_answers_have_the_stated_shares(module: Import) -> None:
    samples = module("voting", "competing").drawn_samples(4, 4000)
    assert samples.success.mean() == pytest.approx(2 / 5, abs=0.02)
    assert set(samples.answers.ravel()) == {"0", "1", "2", "3"}
    assert samples.concentrations().mean() == pytest.approx((2 * 3 + 3 * 1 * 2) / (5 * 6), abs=0.02)


def test_a_package_s_unreadable_answer_is_wrong(
    module: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    beside, samples = module("voting", "beside"), planted(30)
    shown = samples.shuffled(0)
    first = [next(a for a in row if a is not None) for row in shown.answers.tolist()]
    rows = [SimpleNamespace(answer=answer, counted=2, charged=16) for answer in first]
    rows[0].answer = None
    monkeypatch.setattr(beside, "published", lambda answers, cache: {"its-hub BetaSelfConsistency .95": rows})
    probe = curve_of([(1, 0.0), (4, 1.0)], 30)
    bootstrap = module("voting", "figures").Bootstrap(np.arange(30), 10)
    found = beside.published_figures(samples, probe, tmp_path, bootstrap)
    right = np.mean([0.0, *(answer == "right" for answer in first[1:])])
    assert found["its_hub_beta_accuracy"].value == pytest.approx(right)
    assert found["its_hub_beta_counted"].value == 2
    assert found["its_hub_beta_charged"].value == 16
    assert found["probe_gain_over_its_hub_beta"].value == pytest.approx(1 / 3 - right)


def test_quick_figures_favour_a_probe_that_knows(
    module: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, crossfit = module("voting", "run"), module("voting", "crossfit")
    monkeypatch.setattr(run, "read_record", lambda options: record_of(crossfit, planted()))
    monkeypatch.setattr(run, "forecast", knowing)
    monkeypatch.setattr(run, "COMPETING", (3,))
    found = run.measure(Options(True, None, tmp_path))
    assert found["probe_over_best"].value < found["default_over_best"].value
    assert found["probe_over_best"].goal == "interval < 1"
    assert found["default_over_best"].goal == "<= 1.05"
    assert found["probe_over_best"].value < 0.9 < found["shuffled_forecasts_over_best"].value
    assert found["mv_over_probe"].value > 1
    assert found["accuracy_single"].value < found["accuracy_mv16"].value
    assert found["spearman_success"].value > 0.8
    assert 0 < found["probe_token_saving"].value < 1
    assert found["default_over_best"].n == QUESTIONS
    assert "default_over_best_m3" in found
    assert not any(name.startswith(("its_hub", "math_7b", "pass_")) for name in found)


def test_the_committed_samples_have_their_questions(module: Import, tmp_path: Path) -> None:
    record = module("voting", "crossfit").read_record(Options(True, None, tmp_path))
    assert len(record.questions) == len(record.samples) == 300
    assert tuple(question.id for question in record.questions) == record.samples.question_ids
    for cluster in np.unique(record.clusters):
        assert len(set(record.fold[record.clusters == cluster])) == 1
