"""Rules on records whose answers we made up ourselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.core import Prices
from forethought.errors import ConfigError, DataError
from forethought.evaluation import (
    STANDARD_RULES,
    Contest,
    PopulationBayes,
    RuleCard,
    compare_rules,
    replay_rules,
    rule_label,
)
from forethought.evaluation.report.voting import contest_sentence, rule_rows, save_rules
from forethought.evaluation.voting import _Halves, _majority
from forethought.metrics import Interval
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.bayes_vote import BayesVote
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.replay import replay
from forethought.voting.samples import Samples
from forethought.voting.sequential_vote import SequentialVote

NAMES = np.array(["right", "rival", "a", "b", "c", None], dtype=object)


def record(n: int = 120, k: int = 16, seed: int = 0) -> Samples:
    """Easy, hopeless and scattered questions in turn; one answer in twenty cannot be read."""
    rng = np.random.default_rng(seed)
    shares = np.array([[0.8, 0.1, 0.05, 0, 0, 0.05], [0.1, 0.7, 0.1, 0.05, 0, 0.05], [0.4, 0.2, 0.15, 0.1, 0.1, 0.05]])
    drawn = np.array([rng.choice(6, size=k, p=shares[row % 3]) for row in range(n)])
    return Samples(
        question_ids=tuple(f"q{row}" for row in range(n)),
        target="t",
        answers=NAMES[drawn],
        success=(drawn == 0) * 1.0,
        input_tokens=rng.integers(20, 60, size=n) * 1.0,
        output_tokens=rng.integers(1, 9, size=(n, k)) * 1.0,
    )


def by_name(cards: list[RuleCard]) -> dict[str, RuleCard]:
    return {card.name: card for card in cards}


def test_a_card_is_the_mean_of_replays_in_the_same_orders() -> None:
    samples, rule = record(), AdaptiveConsistency(8, 0.9)
    [card] = compare_rules(samples, [rule], orders=3, draws=20, seed=5)
    each = [replay(rule, samples.shuffled(seed)) for seed in (5, 6, 7)]
    for name, found in (("success", card.accuracy), ("samples", card.samples), ("consensus", card.consensus)):
        assert found.value == pytest.approx(np.mean([getattr(one, name) for one in each]))
        assert found.low <= found.value <= found.high
        assert found.n == len(samples)
    for name in ("output_tokens", "input_tokens", "prompt_tokens"):
        assert getattr(card, name).value == pytest.approx(np.mean([getattr(one, name) for one in each]))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 9))
def test_the_curve_of_majority_votes_is_theirs(seed: int, k: int) -> None:
    samples = record(9, 9, seed)
    played, curve = replay(MajorityVote(k), samples), _majority(samples)[:, :, k - 1]
    assert curve[:, 0] == pytest.approx(played.success)
    assert curve[:, 1] == pytest.approx(played.output_tokens + played.input_tokens)
    assert curve[:, 2] == pytest.approx(played.output_tokens + played.prompt_tokens)


def test_no_majority_vote_beats_the_mixtures_of_majority_votes() -> None:
    rules = [MajorityVote(k) for k in (1, 2, 5, 16)]
    single, *others = compare_rules(record(), rules, draws=50)
    assert tuple(single.samples_ratio)[:3] == pytest.approx((1, 1, 1))
    for gain in (single.gain, single.gain_cached):
        assert tuple(gain)[:3] == pytest.approx((0, 0, 0))
    for card in others:
        assert card.samples_ratio.low >= 1 - 1e-9
        assert max(card.gain.high, card.gain_cached.high) <= 1e-9
        assert card.rounds.value == 1


def test_stopping_early_saves_samples_where_votes_agree() -> None:
    cards = by_name(compare_rules(record(), [SequentialVote(16, 5), EarlyStopping(4, 16)], draws=100))
    sequential, windows = cards["SV 16/5"], cards["ESC 16/4"]
    assert sequential.rounds == sequential.samples
    assert windows.rounds.value == pytest.approx(windows.samples.value / 4)
    assert sequential.prompt_tokens.value < sequential.input_tokens.value
    assert sequential.gain_cached.value < sequential.gain.value + 0.05


def test_a_prior_is_fitted_on_other_questions_than_it_is_replayed_on() -> None:
    samples, rule = record(), PopulationBayes(0.01, cap=8)
    half = _Halves.of(samples, None, 0).half
    assert 0.4 < half.mean() < 0.6
    success = samples.success.copy()
    success[half == 1] = 1 - success[half == 1]
    turned = Samples(samples.question_ids, "t", samples.answers, success, samples.input_tokens, samples.output_tokens)
    before, after = (replay_rules(one, [rule], orders=1).table[:, 0, 1] for one in (samples, turned))
    assert (before[half == 1] == after[half == 1]).all()
    assert (before[half == 0] != after[half == 0]).any()


def test_a_cluster_has_one_half_and_is_drawn_together() -> None:
    samples = record(60)
    clusters = np.arange(60) // 10
    half = _Halves.of(samples, clusters, 0).half
    assert all(len(set(half[clusters == label])) == 1 for label in range(6))
    rules = [SequentialVote(8, 3)]
    alone, together = (compare_rules(samples, rules, draws=200, clusters=c)[0] for c in (None, np.zeros(60, dtype=int)))
    assert together.accuracy.low == pytest.approx(together.accuracy.value)
    assert alone.accuracy.low < alone.accuracy.value


def test_repeated_prompts_cost_what_cached_tokens_cost() -> None:
    samples, rule = record(), SequentialVote(8, 3)
    [dear] = compare_rules(samples, [rule], draws=5, prices=Prices(10.0, 100.0))
    [cheap] = compare_rules(samples, [rule], draws=5, prices=Prices(10.0, 100.0, cached_input=0.0))
    [free] = compare_rules(samples, [rule], draws=5)
    assert dear.usd is not None
    assert cheap.usd is not None
    assert free.usd is None
    assert dear.usd.value == pytest.approx((10 * dear.input_tokens.value + 100 * dear.output_tokens.value) / 1e6)
    assert cheap.usd.value == pytest.approx((10 * dear.prompt_tokens.value + 100 * dear.output_tokens.value) / 1e6)


def test_bayes_is_replayed_as_it_judges() -> None:
    samples, rule = record(30, 8), BayesVote(price=0.01, cap=8)
    replays = replay_rules(samples, [rule], orders=1)
    played = replay(rule, samples.shuffled(0))
    assert (replays.table[:, 0, 1] == played.samples).all()
    assert (replays.table[:, 0, 0] == played.success).all()


def test_a_contest_tells_a_better_family_from_a_worse_one() -> None:
    """Against majority votes, stopping at agreement wins; against itself at more prices it cannot be behind."""
    rules = [SequentialVote(16, 4), MajorityVote(3), MajorityVote(8), MajorityVote(16)]
    replays = replay_rules(record(300), rules)
    contest = replays.contest(rules[0], rules[1:], "majority votes", draws=200)
    assert contest.gain.low > 0
    assert contest.samples_ratio.high < 1
    assert "SV 16/4 beats majority votes on this record (n=300)" in contest_sentence(contest)
    back = replays.contest(MajorityVote(8), [SequentialVote(16, 4)], "SV", draws=200)
    assert back.gain.high < 0
    assert "MV 8 loses to SV" in contest_sentence(back)
    assert contest.differences["MV 8"].value == pytest.approx(-back.differences["SV 16/4"].value)
    with pytest.raises(ConfigError, match="SV 8/2 was not replayed"):
        replays.contest(SequentialVote(8, 2), rules, "any")
    with pytest.raises(ConfigError, match="nobody to meet: no ESC"):
        replays.contest(rules[0], [], "ESC")


def test_a_sentence_names_whom_a_rule_is_told_apart_from() -> None:
    even, above, below = Interval(0.0, -0.1, 0.1, 9), Interval(0.2, 0.1, 0.3, 9), Interval(-0.2, -0.3, -0.1, 9)
    said = contest_sentence(Contest("SV", "AC", even, even, {"x": above, "y": below, "z": even}))
    assert "SV does not beat AC" in said
    assert "more often right than x and less often right than y." in said
    said = contest_sentence(Contest("SV", "AC", even, even, {"z": even}))
    assert said.endswith("neither more nor less often right than any of them.")


def test_standard_rules_have_names_of_their_own() -> None:
    names = [rule_label(rule) for rule in STANDARD_RULES]
    assert len(set(names)) == len(names)
    assert {"MV 1", "SV 8/3", "AC 40/0.95", "bayes 16/0.005", "bayes 16/0.005 broad"} <= set(names)
    assert rule_label(AdaptiveConsistency(8, 0.7, "majority")) == "AC 8/0.7 majority"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda s: compare_rules(s, []), ConfigError, "no rules"),
        (lambda s: compare_rules(s, [MajorityVote(1)], orders=0), ConfigError, "orders must be >= 1, got 0"),
        (lambda s: compare_rules(s, [MajorityVote(99)]), DataError, "MV 99 may ask for 99 answers, recorded are 16"),
        (lambda s: compare_rules(s, [PopulationBayes(cap=20)]), DataError, "may ask for 20 answers"),
        (lambda _: PopulationBayes(price=2.0), ConfigError, "price"),
        (lambda _: PopulationBayes(cap=0), ConfigError, "cap"),
    ],
)
def test_what_cannot_be_compared_is_said(call: Callable[[Samples], object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(record(12))


def test_the_table_is_sorted_and_the_picture_is_saved(tmp_path) -> None:
    rules = [MajorityVote(8), SequentialVote(8, 3), MajorityVote(1)]
    replays = replay_rules(record(), rules)
    header, rows = rule_rows(replays.cards(draws=20, prices=Prices(1.0, 1.0)))
    assert [row[0] for row in rows] == ["MV 1", "SV 8/3", "MV 8"]
    assert {len(row) for row in rows} == {len(header)}
    assert header[-1] == "USD/1M"
    cards = replays.cards(draws=20)
    save_rules(cards, replays, tmp_path / "f.svg")
    drawn = (tmp_path / "f.svg").read_text()
    assert "SV 8/3" in drawn
    assert "mixtures of majority votes" in drawn
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        save_rules(cards, replays, tmp_path / "f.pdf")
