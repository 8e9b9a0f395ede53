"""What holds for every stopping rule, whatever it is asked."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.adaptive_sequential_vote import AdaptiveSequentialVote
from forethought.voting.ahead_by import AheadBy
from forethought.voting.base import Ballot, Poll
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
from forethought.voting.criteria import CRITERIA
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.first_to import first_to
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.sprt import SequentialProbabilityRatio

RULES = [
    MajorityVote(5),
    SequentialVote(8, 3),
    AdaptiveSequentialVote(0.2),
    AdaptiveSequentialVote(-0.2),
    AdaptiveSequentialVote(0.2, decide="after_first", trust=0.6),
    *(AdaptiveConsistency(9, 0.9, criterion) for criterion in CRITERIA if criterion != "entropy"),
    AdaptiveConsistency(9, 0.5, "entropy"),
    EarlyStopping(3, 9),
    EarlyStopping(4, 9),
    first_to(4, 12),
    AheadBy(9, 3),
    SequentialProbabilityRatio(cap=9),
    ConfidenceWeightedVote(9, 0.8, 2),
]
IDS = [f"{rule.name}-{i}" for i, rule in enumerate(RULES)]
DRAWS = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=20
)


def polled(rule, draws):
    """Answers drawn until the rule stops, or until there are no more."""
    poll = Poll(rule)
    for answer, confidence in draws:
        if poll.update(answer, confidence).stop:
            break
    return poll


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@settings(max_examples=40, deadline=None)
@given(draws=DRAWS)
def test_a_rule_is_pure_and_never_passes_its_cap(rule, draws):
    poll = polled(rule, draws)
    assert len(poll.ballot) <= rule.cap
    assert poll.verdict.stop or len(poll.ballot) == len(draws) < rule.cap
    assert rule.judge(poll.ballot) == poll.verdict == rule.judge(poll.ballot)
    assert rule.state(poll.ballot) == rule.state(poll.ballot)
    hash(rule.state(poll.ballot))
    assert 0 <= poll.verdict.confidence <= 1
    assert poll.verdict.reason


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@settings(max_examples=40, deadline=None)
@given(draws=DRAWS)
def test_what_is_returned_was_given_and_could_be_read(rule, draws):
    poll = polled(rule, draws)
    given_answers = [answer for answer, _ in poll.ballot.counts]
    assert poll.verdict.answer in given_answers or (poll.verdict.answer is None and not given_answers)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@settings(max_examples=40, deadline=None)
@given(draws=DRAWS)
def test_what_the_answers_say_is_not_read(rule, draws):
    poll = polled(rule, draws)
    renamed = {None: None, "a": "zebra", "b": "1", "c": "yak"}
    other = polled(rule, [(renamed[answer], confidence) for answer, confidence in draws])
    assert len(other.ballot) == len(poll.ballot)
    assert other.verdict.answer == renamed[poll.verdict.answer]


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(left=DRAWS, right=DRAWS, rest=DRAWS)
def test_equal_states_have_one_future(rule, left, right, rest):
    """The second course is the first with its draws reordered where that keeps the state, else any other."""
    one, two = polled(rule, left), polled(rule, [*left[1:], left[0]])
    if rule.state(one.ballot) != rule.state(two.ballot):
        two = polled(rule, right)
    if rule.state(one.ballot) != rule.state(two.ballot) or one.verdict.stop or two.verdict.stop:
        return
    for answer, confidence in rest:
        first, second = one.update(answer, confidence), two.update(answer, confidence)
        assert (first.stop, first.answer, first.consensus) == (second.stop, second.answer, second.consensus)
        if first.stop:
            return


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_answers_that_cannot_be_read_go_to_the_cap_without_an_answer(rule):
    poll = polled(rule, [(None, 1.0), (" ", 1.0)] * 20)
    assert len(poll.ballot) == rule.cap
    assert poll.verdict.answer is None
    assert not poll.verdict.consensus
    assert poll.verdict.confidence == 0


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name != "adaptive_sequential"], ids=lambda r: r.name)
def test_of_a_tie_the_first_is_returned(rule):
    """Every answer once: nothing can lead, so a rule that stops at all stops with the first."""
    for first in ("x", "y"):
        draws = [(first, 0.5), *((f"{i}", 0.5) for i in range(20))]
        assert polled(rule, draws).verdict.answer == first


def random_rule(rng):
    cap = rng.randint(1, 12)
    least = rng.randint(1, cap)
    criterion = rng.choice(sorted(CRITERIA))
    return rng.choice(
        [
            lambda: MajorityVote(cap),
            lambda: SequentialVote(cap, least),
            lambda: AdaptiveSequentialVote(
                rng.uniform(-1, 1), rng.uniform(-1, 1), rng.choice(["before", "after_first"]), rng.random(), cap, least
            ),
            lambda: AdaptiveConsistency(cap, rng.random(), criterion),
            lambda: EarlyStopping(least, cap),
            lambda: first_to(least, cap),
            lambda: AheadBy(cap, least),
            lambda: SequentialProbabilityRatio(rng.uniform(0.7, 0.99), rng.uniform(0.3, 0.4), cap),
            lambda: ConfidenceWeightedVote(cap, rng.uniform(0.1, 1), least),
        ]
    )()


def adversary(rng):
    """Draws an answer from what has been drawn: follows, breaks windows, ties, scatters, mumbles or mixes."""

    def mix(before):
        return rng.choice([None, "", "a", "b", "c", *before])

    return rng.choice(
        [
            lambda before: "same",
            lambda before: "ab"[len(before) % 2],
            lambda before: str(len(before)),
            lambda before: rng.choice([None, "", "  "]),
            lambda before: None if len(before) % 3 else "a",
            mix,
        ]
    )


def test_no_cap_is_passed_in_10_000_adversarial_votes():
    rng = random.Random(7)
    for _ in range(10_000):
        rule, attack = random_rule(rng), adversary(rng)
        poll, drawn = Poll(rule), []
        while poll.verdict is None or not poll.verdict.stop:
            drawn.append(attack(drawn))
            poll.update(drawn[-1], rng.choice([0.0, 1.0, rng.random()]))
            assert len(drawn) <= rule.cap
        assert (poll.verdict.answer is None) == (poll.ballot.votes == 0)
        with pytest.raises(ConfigError, match="take no more"):
            poll.update("more")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda cap: MajorityVote(cap), "cap must be >= 1"),
        (lambda cap: SequentialVote(cap, 3), "cap must be >= consensus"),
        (lambda cap: AdaptiveSequentialVote(0.1, cap=cap), "cap must be >= consensus"),
        (lambda cap: AdaptiveConsistency(cap), "cap must be >= 1"),
        (lambda cap: EarlyStopping(5, cap), "cap must be >= window"),
        (lambda cap: first_to(5, cap), "cap must be >= consensus"),
        (lambda cap: AheadBy(cap, 3), "cap must be >= lead"),
        (lambda cap: SequentialProbabilityRatio(cap=cap), "cap must be >= lead"),
        (lambda cap: ConfidenceWeightedVote(cap), "cap must be >= least"),
    ],
)
def test_a_cap_that_can_never_be_met_is_one_clear_error(make, message):
    for cap in (0, -3, 2) if message != "cap must be >= 1" else (0, -3):
        with pytest.raises(ConfigError, match=f"{message}, got cap={cap}") as caught:
            make(cap)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SequentialVote(8, 0),
        lambda: AdaptiveSequentialVote(1.5),
        lambda: AdaptiveSequentialVote(float("nan")),
        lambda: AdaptiveSequentialVote(0.1, price=float("inf")),
        lambda: AdaptiveSequentialVote(0.1, decide="later"),
        lambda: AdaptiveSequentialVote(0.1, trust=2.0),
        lambda: AdaptiveConsistency(8, 1.1),
        lambda: AdaptiveConsistency(8, float("nan")),
        lambda: AdaptiveConsistency(8, 0.9, "gamma"),
        lambda: EarlyStopping(0),
        lambda: AheadBy(lead=0),
        lambda: SequentialProbabilityRatio(p1=0.5),
        lambda: SequentialProbabilityRatio(p1=1.0),
        lambda: SequentialProbabilityRatio(alpha=0.5),
        lambda: ConfidenceWeightedVote(share=0.0),
        lambda: ConfidenceWeightedVote(least=0),
    ],
)
def test_other_settings_out_of_range_are_refused(make):
    with pytest.raises(ConfigError, match=r"must (be|lie)"):
        make()


def test_ballots_are_left_alone():
    ballot = Ballot().add("a").add(None).add("b")
    before = repr(ballot)
    for rule in RULES:
        rule.judge(ballot)
        rule.state(ballot)
    assert repr(ballot) == before
