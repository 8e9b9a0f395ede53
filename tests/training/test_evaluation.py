from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import DecodingPolicy, Question
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.training import BudgetTable, Spending, TraceFormat, TraceWriter, evaluate_budget

ONCE = np.array([1.0, 1.0, 0.0, 0.0])
VOTE = np.array([1.0, 1.0, 1.0, 0.0])
ALL = np.arange(4)


def spending(success: Any, voted: Any, dear: float = 5.0) -> Spending:
    share = np.asarray(voted, dtype=np.float64)
    trials = 1 + (dear - 1) * share
    return Spending(np.asarray(success, dtype=np.float64), share, trials, 10 * trials)


def table(voted: Any, once: Any = ONCE, vote: Any = VOTE, levels: Any = None) -> BudgetTable:
    """Who votes fares as the forced votes do, who does not as the single answers do."""
    share, single, several = (np.asarray(a, dtype=np.float64) for a in (voted, once, vote))
    n = len(share)
    free = spending(share * several + (1 - share) * single, share)
    difficulty = np.full(n, np.nan) if levels is None else np.asarray(levels, dtype=np.float64)
    return BudgetTable(difficulty, free, spending(single, np.zeros(n)), spending(several, np.ones(n)))


# --- above the line -------------------------------------------------------------------------------


def test_above_the_line_by_hand() -> None:
    """One vote of four, where it helps: .75 right at 2 trials; the line is .5 + .25 x .25 there."""
    oracle = table([0, 0, 1, 0])
    assert oracle.above_line(ALL) == pytest.approx(0.75 - 0.5625)
    assert oracle.above_line(ALL, "tokens") == pytest.approx(0.1875)
    assert oracle.margin(ALL) == 1.0
    wasted = table([1, 0, 0, 0])
    assert wasted.above_line(ALL) == pytest.approx(0.5 - 0.5625)
    assert wasted.margin(ALL) == pytest.approx(-1 / 3)
    assert oracle.above_line(np.array([2, 2, 3])) == pytest.approx(2 / 3 - (0 + 2 / 3 * 2 / 3))


@given(st.integers(2, 30), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_tossing_a_coin_is_on_the_line(n: int, share: float, seed: int) -> None:
    """In expectation, which a share of every question's traces is."""
    rng = np.random.default_rng(seed)
    tossed = table(np.full(n, share), rng.random(n), rng.random(n))
    assert tossed.above_line(np.arange(n)) == pytest.approx(0, abs=1e-9)
    assert tossed.above_line(rng.integers(n, size=n), "tokens") == pytest.approx(0, abs=1e-9)
    assert tossed.margin(np.arange(n)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("voted", [np.zeros(4), np.ones(4)])
def test_both_ends_are_on_the_line(voted: Any) -> None:
    end = table(voted)
    assert end.above_line(ALL) == pytest.approx(0)
    assert np.isnan(end.margin(ALL))


def test_an_oracle_is_above_a_coin_and_a_coin_is_not() -> None:
    rng = np.random.default_rng(0)
    once, vote = (rng.random(2000) < 0.5).astype(float), (rng.random(2000) < 0.7).astype(float)
    oracle, coin = table(vote > once, once, vote), table(rng.random(2000) < 0.35, once, vote)
    assert oracle.interval("above_line", draws=200).low > 0.1
    found = coin.interval("above_line", draws=200)
    assert found.low < 0 < found.high
    assert found.n == 2000
    assert oracle.interval("margin", draws=50).value == oracle.margin(np.arange(2000)) > 0.9
    tokens = oracle.interval("above_line_tokens", draws=50)
    assert tokens.value == pytest.approx(oracle.above_line(np.arange(2000), "tokens"))


def test_where_a_vote_costs_nothing_there_is_no_line() -> None:
    flat = BudgetTable(
        np.full(4, np.nan), spending(ONCE, np.zeros(4)), spending(ONCE, np.zeros(4)), spending(VOTE, np.zeros(4))
    )
    assert np.isnan(flat.above_line(ALL))
    assert np.isnan(flat.interval("above_line", draws=20).low)


def test_an_interval_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="name must be one of margin, above_line, above_line_tokens, got 'accuracy'"):
        table([0, 0, 1, 0]).interval("accuracy")


# --- levels ---------------------------------------------------------------------------------------


def test_by_level_by_hand() -> None:
    found = table([0, 1, 1, 0], levels=[1, 1, 2, np.nan]).by_level()
    assert found == {
        1.0: {"questions": 2, "share": 0.5, "accuracy": 1, "once": 1, "vote": 1, "trials": 3},
        2.0: {"questions": 1, "share": 1, "accuracy": 1, "once": 0, "vote": 1, "trials": 5},
    }
    assert table([0, 0, 1, 0]).by_level() == {}


# --- written --------------------------------------------------------------------------------------


def writer_of(model: LanguageModel, **changes: Any) -> TraceWriter:
    return TraceWriter(model, TraceFormat.of(model), DecodingPolicy(temperature=1.0, max_tokens=6), **changes)


def test_three_ways_of_a_policy(chain: Callable[..., LanguageModel], ask: Callable[..., list[Question]]) -> None:
    """A chain tosses a coin: on the line to sampling noise, of 400 traces each way."""
    questions = [*ask(7), Question.ask("9=", answers=("2",), grader="number")]
    found = evaluate_budget(writer_of(chain(vote=0.4, right=0.6), batch_size=400), questions, samples=50)
    assert found.once.trials.tolist() == [1] * 8
    assert found.once.voted.tolist() == [0] * 8
    assert found.vote.voted.tolist() == [1] * 8
    assert (found.vote.trials >= 3).all()
    assert found.free.voted.mean() == pytest.approx(0.4, abs=0.08)
    assert found.once.success.mean() == pytest.approx(0.6, abs=0.08)
    assert found.vote.success.mean() > found.once.success.mean() + 0.1
    assert found.above_line(np.arange(8)) == pytest.approx(0, abs=0.12)
    assert found.levels[:7].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert np.isnan(found.levels[7])


def test_means_and_streams_of_samples(tiny: LanguageModel, ask: Callable[..., list[Question]]) -> None:
    """Each way has sample numbers of its own, and its figures are means over them."""
    questions, writer = ask(3), writer_of(tiny)
    found = evaluate_budget(writer, questions, samples=2)
    asked = [question for question in questions for _ in range(2)]
    for way, choice, arm in ((0, None, found.free), (1, False, found.once), (2, True, found.vote)):
        traces = writer.write(asked, [2 * way, 2 * way + 1] * 3, vote=choice)
        for i in range(3):
            pair = traces[2 * i : 2 * i + 2]
            assert arm.success[i] == np.mean([trace.success for trace in pair])
            assert arm.voted[i] == np.mean([trace.voted for trace in pair])
            assert arm.trials[i] == np.mean([len(trace.trials) for trace in pair])
            assert arm.tokens[i] == np.mean([len(trace.tokens) for trace in pair])


def test_no_question_is_refused(tiny: LanguageModel) -> None:
    with pytest.raises(DataError, match="there is no question to evaluate on"):
        evaluate_budget(writer_of(tiny), [])
