from __future__ import annotations

import numpy as np
import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import MathGrader, Outcomes
from forethought.voting import (
    AdaptiveConsistency,
    AnswerPrior,
    BayesVote,
    Component,
    MajorityVote,
    Replayed,
    Samples,
    SequentialVote,
    VotePaths,
    exact_performance,
    fit_gated_prior,
    fit_prior,
    replay,
)


def record(texts: list[list[str | None]], right: str = "a") -> Samples:
    """One row a question; the answer `right` is the right one."""
    rows = [
        Outcome(
            f"q{i}", "t", sample=k, success=float(answer == right), unparsable=answer is None, answer=answer,
            input_tokens=10, output_tokens=k + 1,
        )
        for i, answers in enumerate(texts)
        for k, answer in enumerate(answers)
    ]  # fmt: skip
    return Samples.read(Outcomes.from_rows(rows))


def drawn(n: int, k: int, seed: int = 0) -> tuple[Samples, np.ndarray]:
    """Easy questions, hopeless ones with one wrong answer, and open ones; and which is which."""
    rng = np.random.default_rng(seed)
    shares = np.array([[0.95, 0.03, 0.02], [0.05, 0.9, 0.05], [0.5, 0.3, 0.2]])
    kind = rng.integers(3, size=n)
    return record([[("a", "b", "c")[i] for i in rng.choice(3, size=k, p=shares[kind[row]])] for row in range(n)]), kind


def test_labels_of_the_two_heads_by_hand():
    samples = record([["a", "a", "b", None], ["b", "c", "d", "e"]])
    assert samples.success_rates().tolist() == [0.5, 0.0]
    assert samples.concentrations() == pytest.approx([2 / 12, 0.0])
    assert samples.vote_counts() == ([2, 0], [[1], [1, 1, 1, 1]])


def test_answers_of_one_meaning_become_one_vote():
    samples = record([["1/2", "0.5", "2", None, "0.5"], ["1/2", "0.5", "2", None, "0.5"]], right="0.5")
    with MathGrader(deadline=20) as grader:
        found = samples.merged([grader.same, None])
    assert found.answers.tolist() == [["1/2", "1/2", "2", None, "1/2"], ["1/2", "0.5", "2", None, "0.5"]]
    assert replay(SequentialVote(cap=3, consensus=2), found).samples.tolist() == [2, 3]


def test_a_replay_by_hand():
    samples = record([["b", "a", "a", "a"], ["b", "b", "b", "b"], [None, "a", "a", "b"]])
    found = replay(SequentialVote(cap=4, consensus=2), samples)
    assert found.samples.tolist() == [3, 2, 3]
    assert found.success.tolist() == [1, 0, 1]
    assert found.output_tokens.tolist() == [6, 3, 6]
    assert found.input_tokens.tolist() == [30, 20, 30]
    assert found.prompt_tokens.tolist() == [10, 10, 10]


def test_a_vote_without_any_answer_is_not_right():
    found = replay(MajorityVote(cap=3), record([[None, None, None]]))
    assert (found.success[0], found.samples[0], found.consensus[0]) == (0, 3, 0)


@pytest.mark.parametrize("price", [0.001, 0.01, 0.1])
def test_paths_replay_the_bayes_rule_as_the_rule_itself(price):
    samples, _ = drawn(60, 9)
    samples.answers[::7, 0] = None
    prior = fit_prior(samples)
    slow = replay(BayesVote(prior, price, 9), samples)
    fast = VotePaths.of(samples, 9).bayes(prior, price)
    for name in Replayed.__dataclass_fields__:
        assert getattr(fast, name).tolist() == getattr(slow, name).tolist(), name


def test_one_rule_a_question_and_one_for_all_agree():
    samples, _ = drawn(20, 8)
    rule = AdaptiveConsistency(cap=8)
    assert replay([rule] * 20, samples).samples.tolist() == replay(rule, samples).samples.tolist()


def test_replay_of_many_orders_meets_the_exact_expectation():
    rng = np.random.default_rng(1)
    rows = [[("a", "b", "c")[i] for i in rng.choice(3, size=8, p=[0.6, 0.3, 0.1])] for _ in range(4000)]
    found, exact = replay(SequentialVote(), record(rows)), exact_performance(SequentialVote(), [0.6, 0.3, 0.1])
    assert found.samples.mean() == pytest.approx(exact.samples, abs=4 * found.samples.std() / 4000**0.5)
    assert found.success.mean() == pytest.approx(exact.accuracy, abs=4 * 0.5 / 4000**0.5)


def test_shuffling_moves_answers_with_their_grades_and_tokens():
    samples, _ = drawn(30, 12)
    other = samples.shuffled(3)
    assert (other.answers != samples.answers).any()
    for row in range(30):
        rows = [
            sorted(zip(s.answers[row], s.success[row], s.output_tokens[row], strict=True)) for s in (samples, other)
        ]
        assert [(a, r) for a, r, _ in rows[0]] == [(a, r) for a, r, _ in rows[1]]
        assert sorted(t for *_, t in rows[0]) == sorted(t for *_, t in rows[1])
    assert ((other.answers == "a") == (other.success == 1)).all()


def test_the_prior_finds_the_mixture_that_was_drawn():
    samples, kind = drawn(400, 20)
    prior = fit_prior(samples)
    assert prior.success == pytest.approx(samples.success.mean(), abs=0.03)
    assert prior.mode_is_right == pytest.approx((kind != 1).mean(), abs=0.05)


def test_a_forecast_moves_the_prior_the_right_way_and_saves_answers():
    samples, kind = drawn(600, 16)
    truth = np.array([[0.95, 0.9], [0.05, 0.82], [0.5, 0.38]])[kind]
    gated = fit_gated_prior(samples, truth, np.arange(600) % 4)
    easy, hopeless = gated.prior((0.95, 0.9)), gated.prior((0.05, 0.82))
    assert easy.mode_is_right > 0.9 > 0.1 > hopeless.mode_is_right
    fresh, kinds = drawn(600, 16, seed=9)
    forecasts = np.array([[0.95, 0.9], [0.05, 0.82], [0.5, 0.38]])[kinds]
    paths = VotePaths.of(fresh, 16)
    for price in (0.003, 0.01):
        blind = paths.bayes(gated.population, price)
        told = paths.bayes(gated.population, price, gated.weights(forecasts))
        worth = [(found.success - price * found.samples).mean() for found in (blind, told)]
        assert worth[1] > worth[0]


def test_forecasts_that_say_nothing_leave_the_prior_near_the_population():
    samples, _ = drawn(300, 12)
    noise = np.random.default_rng(5).uniform(0.3, 0.7, size=(300, 2))
    gated = fit_gated_prior(samples, noise, np.arange(300) % 3)
    moved = np.abs(gated.weights(noise) - np.array(gated.population.weights)).sum(axis=1).mean()
    assert moved < 0.25


def test_tables_that_cannot_be_replayed():
    samples, _ = drawn(5, 4)
    with pytest.raises(DataError, match="may ask for 40 answers, recorded are 4"):
        replay(MajorityVote(cap=40), samples)
    with pytest.raises(DataError, match="one each"):
        replay([MajorityVote(cap=3)], samples)
    with pytest.raises(DataError, match="at least 2"):
        record([["a"]]).concentrations()
    with pytest.raises(DataError, match="forecasts must be"):
        fit_gated_prior(samples, np.zeros((2, 2)), np.zeros(2, dtype=int))
    ragged = [Outcome("q", "t", sample=i, success=1.0, answer="a") for i in range(3)]
    with pytest.raises(DataError, match="'p' has 1, another 3"):
        Samples.read(Outcomes.from_rows([*ragged, Outcome("p", "t", success=1.0, answer="a")]))
    with pytest.raises(DataError, match="no grade"):
        Samples.read(Outcomes.from_rows([Outcome("q", "t", answer="a")]))
    with pytest.raises(DataError, match="no rows"):
        Samples.read(Outcomes.from_rows([]))
    both = Outcomes.from_rows([Outcome("q", name, success=1.0, answer="a") for name in ("s", "t")])
    with pytest.raises(DataError, match="name one"):
        Samples.read(both)
    with pytest.raises(DataError, match="no samples of 'x'"):
        Samples.read(both, "x")


def test_a_prior_that_is_wrong_costs_answers_not_correctness():
    """Certain of easy questions where half are open: it stops early, never beyond the cap, and is still a vote."""
    samples, _ = drawn(300, 12, seed=2)
    sure = AnswerPrior((Component(38, 1, 1, 4),), (1.0,))
    found = VotePaths.of(samples, 12).bayes(sure, 0.005)
    single = replay(MajorityVote(cap=1), samples)
    assert found.success.mean() >= single.success.mean() - 0.02
    assert found.samples.max() <= 12
