from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import DecodingPolicy, Question
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.outcomes.graders import Grade, grader
from forethought.targets.generation import Prompt
from forethought.training import Sample, TraceFormat, TraceRecipe, TraceText, TraceWriter, traces_to_imitate
from forethought.training.trace_format import END, TRIAL
from forethought.training.vote_traces import _assembled, vote_order
from forethought.voting import SequentialVote

MODES: tuple[Any, ...] = ("after_first", "before")
PROMPT = Prompt((1, 6, 18, 4), 1)


def sample(answer: str | None, right: str = "2") -> Sample:
    if answer is None:
        return Sample("+", Grade(0.0, "unparsable", None))
    return Sample(answer, Grade(float(answer == right), "right" if answer == right else "wrong", answer))


def pool(answers: dict[str, str]) -> dict[Question, list[Sample]]:
    """Question text -> a letter a sample; the right one is 2."""
    return {Question.ask(text, answers=("2",)): [sample(a) for a in found] for text, found in answers.items()}


def made(
    model: LanguageModel, samples: dict[Question, list[Sample]], decide: Any = "after_first", **changes: Any
) -> Any:
    recipe = TraceRecipe(**{"votes": 2, "distinct": (1, 8), **changes})
    prompts = {question.id: PROMPT for question in samples}
    return traces_to_imitate(model, TraceFormat.of(model, decide), samples, prompts, recipe)


def read(model: LanguageModel, trace: TraceText) -> list[str]:
    """Trials of a trace."""
    return [part.split(END)[0] for part in model.tokenizer.decode(trace.tokens).split(TRIAL)[1:] if END in part]


# --- algorithm 3 ----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["2", "5", "7", None]), min_size=1, max_size=16), st.integers(0, 50))
def test_an_order_ends_where_the_vote_does_and_only_right_ones_are_kept(answers: list[str | None], seed: int) -> None:
    samples = [sample(answer) for answer in answers]
    order = vote_order(samples, SequentialVote(), random.Random(seed))
    whole = list(samples)
    random.Random(seed).shuffle(whole)
    counts: Counter[str] = Counter()
    for used, drawn in enumerate(whole[:8], start=1):
        if drawn.grade.answer is not None:
            counts[drawn.grade.answer] += 1
        if (counts and counts.most_common(1)[0][1] == 3) or used == 8:
            elected = counts.most_common(1)[0][0] if counts else None  # of equals the first that was counted
            assert order == (whole[:used] if elected == "2" else None)
            return
    assert order is None  # too few samples to end a vote


def test_orders_are_shuffled() -> None:
    samples = [sample(answer) for answer in "25225"]
    found = {
        "".join(str(s.grade.answer) for s in order)
        for seed in range(60)
        if (order := vote_order(samples, SequentialVote(5, 3), random.Random(seed)))
    }
    assert found == {"222", "2522", "5222", "2252", "25522", "52522", "55222", "22552", "25252", "52252"}


# --- recipes --------------------------------------------------------------------------------------


def test_only_questions_within_the_filter_vote(tiny: LanguageModel) -> None:
    samples = pool({"easy": "222222", "mid": "252752", "wild": "2134562"})
    assert len(made(tiny, samples, votes=1, alpha=0, distinct=(2, 3))) == 1
    with pytest.raises(DataError, match="2 voting traces were asked for and 1 can be made of 3 questions with 2 to 3"):
        made(tiny, samples, votes=2, distinct=(2, 3), alpha=0)


def test_what_could_not_be_read_is_no_distinct_answer(tiny: LanguageModel) -> None:
    samples = {Question.ask("q"): [sample("2"), sample("2"), sample("2"), sample(None)]}
    assert len(made(tiny, samples, votes=1, alpha=0, distinct=(1, 1))) == 1


@pytest.mark.parametrize(("alpha", "once"), [(0.0, 0), (0.5, 2), (1.0, 4), (2.0, 8)])
def test_alpha_is_the_ratio_of_single_traces(tiny: LanguageModel, alpha: float, once: int) -> None:
    samples = pool({f"q{i}": "2225222" for i in range(6)})
    traces = made(tiny, samples, votes=4, alpha=alpha)
    lengths = [len(read(tiny, trace)) for trace in traces]
    assert len(lengths) == 4 + once
    assert all(3 <= length <= 8 for length in lengths[:4])
    assert lengths[4:] == [1] * once
    assert all(read(tiny, trace) == ["2"] for trace in traces[4:])


def test_every_right_answer_is_used_before_one_is_repeated(tiny: LanguageModel) -> None:
    samples = {Question.ask(f"q{i}"): [Sample(f"{i}{k}", Grade(1.0, "right", "2")) for k in range(4)] for i in range(3)}
    traces = made(tiny, samples, votes=1, alpha=18.0)
    counts = Counter(read(tiny, trace)[0] for trace in traces[1:])
    assert sum(counts.values()) == 18
    assert len(counts) == 12
    assert set(counts.values()) == {1, 2}


def test_several_orders_of_a_question(tiny: LanguageModel) -> None:
    """One of each question comes before a second of any."""
    samples = {Question.ask(f"q{i}"): [Sample(f"{i}{k}", Grade(1.0, "right", "2")) for k in range(8)] for i in range(3)}
    with pytest.raises(DataError, match="6 voting traces were asked for and 3 can be made"):
        made(tiny, samples, votes=6, alpha=0)
    traces = [read(tiny, trace) for trace in made(tiny, samples, votes=6, alpha=0, orders=2)]
    first, second = (sorted(trials[0][0] for trials in part) for part in (traces[:3], traces[3:]))
    assert first == second == ["0", "1", "2"]
    assert len({tuple(trials) for trials in traces}) == 6


def test_a_seed_decides_all(tiny: LanguageModel) -> None:
    samples = pool({f"q{i}": "2272525122" for i in range(8)})
    first, again, other = (made(tiny, samples, votes=4, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_what_no_writer_writes_is_left_out(make: Callable[..., LanguageModel]) -> None:
    """Answers with a tag in them, and traces longer than the window."""
    model = make(context=24)
    tagged = {Question.ask("t"): [Sample(f"2{END}5", Grade(1.0, "right", "2"))] * 4}
    with pytest.raises(DataError, match="1 voting traces were asked for and 0 can be made"):
        made(model, tagged, votes=1)
    long = {Question.ask("l"): [Sample("2" * 6, Grade(1.0, "right", "2"))] * 4}
    with pytest.raises(DataError, match="0 can be made of 1 questions"):
        made(model, long, votes=1)
    short = {Question.ask("s"): [Sample("2" * 3, Grade(1.0, "right", "2"))] * 4}
    assert len(made(model, short, votes=1, alpha=0)) == 1


def test_what_is_refused(tiny: LanguageModel) -> None:
    for settings in (
        {"votes": 0},
        {"orders": 0},
        {"alpha": -0.1},
        {"alpha": float("nan")},
        {"distinct": (5, 4)},
        {"distinct": (0, 4)},
    ):
        with pytest.raises(ConfigError, match="votes and orders must be >= 1, alpha >= 0 and distinct a range"):
            TraceRecipe(**settings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="sample more or widen the range"):
        made(tiny, {})


def test_nothing_right_is_nothing_to_imitate(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote whose trials are right makes its own single traces; only a question of no right sample has none."""
    monkeypatch.setattr("forethought.training.vote_traces._voting", lambda *_: iter([(question, [sample("5")] * 3)]))
    question = Question.ask("q")
    with pytest.raises(DataError, match="none of the answers to 1 questions is right"):
        made(tiny, {question: [sample("5")]}, votes=1)


# --- the same tokens as when it is written --------------------------------------------------------


@pytest.mark.parametrize("decide", MODES)
@pytest.mark.parametrize("vote", [False, True])
def test_by_hand(tiny: LanguageModel, decide: Any, vote: bool) -> None:
    form = TraceFormat.of(tiny, decide)
    trials = [sample("25"), sample("2"), sample("2")] if vote else [sample("25")]
    trace = _assembled(tiny, form, PROMPT, trials, vote=vote)
    wanted = {
        ("after_first", True): ("[TRIAL] 25 [/TRIAL]\n[TRIAL] 2 [/TRIAL]\n[TRIAL] 2 [/TRIAL]\n", "0111 111 011"),
        ("after_first", False): ("[TRIAL] 25 [/TRIAL]\nTerminated due to difficulty level.", "01111"),
        ("before", True): (
            "Several attempts.\n[TRIAL] 25 [/TRIAL]\n[TRIAL] 2 [/TRIAL]\n[TRIAL] 2 [/TRIAL]\n", "1 0111 011 011"
        ),
        ("before", False): ("One attempt.\n[TRIAL] 25 [/TRIAL]\n", "1 0111"),
    }  # fmt: skip
    text, marks = wanted[decide, vote]
    assert tiny.tokenizer.decode(trace.tokens) == text
    assert trace.chosen == [mark == "1" for mark in marks.replace(" ", "")]
    assert trace.prompt == PROMPT


@pytest.mark.parametrize("decide", MODES)
@pytest.mark.parametrize("tags", ["a token", "many tokens"])
def test_a_written_trace_is_assembled_again(
    chain: Callable[..., LanguageModel], byte_chain: LanguageModel, ask: Any, decide: Any, tags: str
) -> None:
    model = chain(vote=0.5, right=0.4) if tags == "a token" else byte_chain
    form = TraceFormat.of(model, decide)
    policy = DecodingPolicy(temperature=1.0, max_tokens=40)
    traces = TraceWriter(model, form, policy).write([q for q in ask(3) for _ in range(20)], range(60))
    number = grader("number")
    compared: Counter[bool] = Counter()
    for trace in traces:
        # An empty trial in bytes is closed by the tag without the blank that `END` begins with.
        if all(trace.trials) and max(map(len, trace.trials)) < 30:
            trials = [Sample(text, number.grade(trace.question, text)) for text in trace.trials]
            again = _assembled(model, form, trace.prompt, trials, vote=trace.voted)
            assert again.tokens == trace.tokens
            assert again.chosen == trace.chosen
            compared[trace.voted] += 1
    assert compared[True] > 5
    assert compared[False] > 5
