from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy, Question
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel, load
from forethought.outcomes.graders import grader
from forethought.targets.sampling import sample_key, uniform
from forethought.training import TraceFormat, TraceWriter, WrittenTrace, chosen_logprobs, trace_writer
from forethought.training.trace_format import END, TRIAL
from forethought.voting import Poll, SequentialVote
from forethought.voting.trace import SINGLE, parse

POLICY = DecodingPolicy(temperature=1.0, max_tokens=6)
MODES: tuple[Any, ...] = ("after_first", "before")
Ask = Callable[..., list[Question]]
Chain = Callable[..., LanguageModel]


def writer_of(model: LanguageModel, decide: Any = "after_first", **changes: Any) -> TraceWriter:
    policy = DecodingPolicy(
        temperature=changes.pop("temperature", 1.0),
        top_p=changes.pop("top_p", 1.0),
        max_tokens=changes.pop("max_tokens", 6),
    )
    return TraceWriter(model, TraceFormat.of(model, decide), policy, **changes)


def same(one: WrittenTrace, other: WrittenTrace) -> bool:
    return (
        (one.tokens, one.chosen, one.trials, one.grades, one.voted, one.answer, one.success, one.consensus)
        == (other.tokens, other.chosen, other.trials, other.grades, other.voted, other.answer, other.success,
            other.consensus)
        and one.logprob == pytest.approx(other.logprob, abs=1e-4)
    )  # fmt: skip


def expected_marks(trace: WrittenTrace, writer: TraceWriter, *, forced: bool) -> list[bool]:
    """Who wrote each token, from the tokens alone; of a format whose parts are one token each."""
    form, tokens, eos = writer.form, trace.tokens, writer.model.eos
    marks = [not forced] if form.decide == "before" else []
    trials = 0
    while len(marks) < len(tokens):
        if trials == 1 and form.decide == "after_first":
            marks.append(not forced)
            if tokens[len(marks) - 1] == form.once[0]:
                break
        else:
            assert tokens[len(marks)] == form.trial[0]
            marks.append(False)
        own = 0
        while True:
            last = tokens[len(marks)]
            marks.append(True)
            own += 1
            if last == form.end[0] or last in eos or own == writer.policy.max_tokens:
                break
        if last != form.end[0] and len(marks) < len(tokens):
            assert tokens[len(marks)] == form.end[0]
            marks.append(False)
        trials += 1
    assert trials == len(trace.trials)
    return marks


@torch.no_grad()
def naive(writer: TraceWriter, trace: WrittenTrace, sample: int) -> list[int]:
    """Every chosen token anew, from a pass over all before it: no cache, no batch, no padding."""
    key = sample_key(writer.seed, trace.question.id, sample)
    found = []
    for step, (token, chosen) in enumerate(zip(trace.tokens, trace.chosen, strict=True)):
        if not chosen:
            found.append(token)
            continue
        ids = torch.tensor([[*trace.prompt.ids, *trace.tokens[:step]]])
        logits = writer.model.model(input_ids=ids).logits[0, -1].double()
        choice = step == 0 or (writer.form.decide == "after_first" and step == _choice(writer, trace))
        if choice:
            logits = torch.full_like(logits, -torch.inf).index_copy(
                0, torch.tensor(writer.form.choices), logits[list(writer.form.choices)]
            )
        if writer.policy.temperature == 0:
            found.append(int(logits.argmax()))
        else:
            passed = torch.softmax(logits / writer.policy.temperature, dim=-1).cumsum(0)
            found.append(int((passed <= uniform(key, step) * passed[-1]).sum()))
    return found


def _choice(writer: TraceWriter, trace: WrittenTrace) -> int:
    """Place of the choice after the first trial, which the engine or the model closes."""
    return trace.tokens.index(writer.form.end[0]) + 1


# --- a function of weights, seed, question and sample ---------------------------------------------


@pytest.mark.parametrize("decide", MODES)
def test_a_trace_is_the_same_in_any_batch(tiny: LanguageModel, ask: Ask, decide: Any) -> None:
    questions = [question for question in ask(4) for _ in range(3)]
    samples = [0, 1, 2] * 4
    together = writer_of(tiny, decide, seed=3).write(questions, samples)
    assert len({trace.voted for trace in together}) == 2
    assert len({len(trace.prompt.ids) for trace in together}) == 3
    assert len({tuple(trace.tokens) for trace in together}) == 12
    for size in (1, 5):
        apart = writer_of(tiny, decide, seed=3, batch_size=size).write(questions, samples)
        assert all(map(same, together, apart))
    turned = writer_of(tiny, decide, seed=3).write(questions[::-1], samples[::-1])[::-1]
    assert all(map(same, together, turned))
    assert [trace.question for trace in together] == questions


@pytest.mark.parametrize("decide", MODES)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_every_choice_is_that_of_a_pass_over_all_before_it(
    tiny: LanguageModel, ask: Ask, decide: Any, temperature: float
) -> None:
    writer = writer_of(tiny, decide, temperature=temperature, seed=1)
    for sample, trace in enumerate(writer.write(ask(6), range(6))):
        assert naive(writer, trace, sample) == trace.tokens


def test_seed_and_sample_change_a_trace_and_greedy_ones_know_neither(tiny: LanguageModel, ask: Ask) -> None:
    questions = ask(1) * 6
    drawn = [writer_of(tiny, seed=seed).write(questions, range(6)) for seed in (0, 1)]
    assert len({tuple(trace.tokens) for traces in drawn for trace in traces}) == 12
    greedy = [writer_of(tiny, temperature=0.0, seed=seed).write(questions, range(6)) for seed in (0, 1)]
    assert len({tuple(trace.tokens) for traces in greedy for trace in traces}) == 1


def test_a_narrow_nucleus_is_greedy(tiny: LanguageModel, ask: Ask) -> None:
    narrow = writer_of(tiny, top_p=1e-6).write(ask(4), range(4))
    assert all(map(same, narrow, writer_of(tiny, temperature=0.0).write(ask(4), range(4))))


@pytest.mark.parametrize("decide", MODES)
def test_tags_of_many_tokens_in_any_batch(in_bytes: LanguageModel, ask: Ask, decide: Any) -> None:
    questions, rule = [question for question in ask(2, grader="text") for _ in range(3)], SequentialVote(3, 2)
    writer = writer_of(in_bytes, decide, rule=rule)
    together = writer.write(questions, range(6))
    assert all(map(same, together, writer_of(in_bytes, decide, rule=rule, batch_size=1).write(questions, range(6))))
    found = chosen_logprobs(in_bytes, together)
    assert [trace.logprob for trace in together] == pytest.approx(found.tolist(), abs=1e-3)
    assert {trace.voted for trace in together} == {True, False}


@pytest.mark.parametrize(("family", "config"), [("Mistral", {"head_dim": 8, "sliding_window": 8}), ("GPT2", {})])
def test_windows_that_slide_and_positions_that_end(
    make_bytes: Callable[..., LanguageModel], ask: Ask, family: str, config: dict[str, Any]
) -> None:
    """Padding would push keys out of a sliding window; a learnt position table ends where the window does."""
    model = make_bytes(family, context=96, **config)
    long = Question.ask("1+" * 16 + "1=", answers=("2",), grader="text")
    questions = [long, *ask(1, grader="text") * 8]
    writer = writer_of(model, max_tokens=8, rule=SequentialVote(8, 8))
    together = writer.write(questions, range(9), vote=True)
    assert len(together[0].tokens) < len(together[1].tokens) - 20  # of nine rows one is done: it is not dropped
    for i in (0, 1, 8):
        assert same(together[i], writer.write(questions[i : i + 1], [i], vote=True)[0])


# --- form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decide", MODES)
@pytest.mark.parametrize("vote", [None, False, True])
def test_marks_and_their_likelihood(tiny: LanguageModel, ask: Ask, decide: Any, vote: bool | None) -> None:
    writer = writer_of(tiny, decide)
    traces = writer.write([q for q in ask(4) for _ in range(5)], [*range(20)], vote=vote)
    for trace in traces:
        assert trace.chosen == expected_marks(trace, writer, forced=vote is not None)
    found = chosen_logprobs(tiny, traces).tolist()
    assert [trace.logprob for trace in traces] == pytest.approx(found, abs=1e-4)
    assert {trace.voted for trace in traces} == ({True, False} if vote is None else {vote})


@pytest.mark.parametrize("decide", MODES)
def test_forced_choices(chain: Chain, ask: Ask, decide: Any) -> None:
    """Whatever the model thinks of them; the first trial is that of the free trace where the choice comes after it."""
    questions, writer = ask(1) * 30, writer_of(chain(vote=0.5), decide)
    free, once, vote = (writer.write(questions, range(30), vote=choice) for choice in (None, False, True))
    assert all(len(trace.trials) == 1 and not trace.voted for trace in once)
    assert all(3 <= len(trace.trials) <= 8 and trace.voted for trace in vote)
    assert 5 < sum(trace.voted for trace in free) < 25
    assert [trace.trials[0] for trace in once] == [trace.trials[0] for trace in vote]
    for one, drawn in zip(once, free, strict=True):
        assert one.trials[0] == drawn.trials[0]
        assert (one.answer, one.success) == (one.grades[0].answer, one.grades[0].success)
    for trace, drawn in zip(vote, free, strict=True):
        if drawn.voted:
            assert (trace.tokens, trace.trials) == (drawn.tokens, drawn.trials)
            assert sum(drawn.chosen) - sum(trace.chosen) == 1


@pytest.mark.parametrize("share", [0.2, 0.7])
@pytest.mark.parametrize("decide", MODES)
def test_the_choice_is_made_as_often_as_the_model_would(chain: Chain, ask: Ask, decide: Any, share: float) -> None:
    traces = writer_of(chain(vote=share), decide).write(ask(1) * 400, range(400))
    assert sum(trace.voted for trace in traces) / 400 == pytest.approx(share, abs=0.08)  # 3 standard errors


@pytest.mark.parametrize("decide", MODES)
@pytest.mark.parametrize("rule", [SequentialVote(), SequentialVote(5, 2), SequentialVote(4, 4)])
def test_a_vote_ends_where_its_rule_ends_it(chain: Chain, ask: Ask, decide: Any, rule: SequentialVote) -> None:
    model = chain(right=0.3, wrong="13456789")
    outcomes = set()
    for trace in writer_of(model, decide, rule=rule).write(ask(1) * 60, range(60), vote=True):
        poll = Poll(rule)
        stops = [poll.update(grade.answer).stop for grade in trace.grades]
        assert stops == [False] * (len(stops) - 1) + [True]
        verdict = poll.verdict
        assert verdict is not None
        assert (trace.answer, trace.consensus) == (verdict.answer, verdict.consensus)
        assert trace.success == float(trace.answer == "2")
        outcomes.add((trace.consensus, trace.success))
    assert len(outcomes) >= 2


def test_a_vote_by_hand(chain: Chain, ask: Ask) -> None:
    (trace,) = writer_of(chain(right=1.0)).write(ask(1), [0], vote=True)
    decoded = trace.prompt.ids, writer_of(chain()).model.tokenizer.decode(trace.tokens)
    assert decoded[1] == "[TRIAL] 2 [/TRIAL]\n" * 3
    assert trace.chosen == [False, True, True] * 3
    assert (trace.trials, trace.answer, trace.success, trace.consensus) == (["2"] * 3, "2", 1.0, True)
    assert trace.logprob == pytest.approx(0.0, abs=1e-5)
    (single,) = writer_of(chain(right=1.0, vote=0.25)).write(ask(1), [0], vote=False)
    assert single.chosen == [False, True, True, False]
    assert single.text == f"[TRIAL] 2 [/TRIAL]\n{SINGLE}"


def test_of_equals_the_first_is_the_answer(chain: Chain, ask: Ask) -> None:
    """Eight trials over eight digits: where the counts are tied, the answer stood first."""
    tied = 0
    for trace in writer_of(chain(right=0.125, wrong="1345678")).write(ask(1) * 80, range(80), vote=True):
        answers = [grade.answer for grade in trace.grades]
        most = max(map(answers.count, answers))
        first = next(answer for answer in answers if answers.count(answer) == most)
        assert trace.answer == first
        tied += len({answer for answer in answers if answers.count(answer) == most}) > 1
    assert tied > 10


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decide", MODES)
def test_the_text_is_a_well_formed_trace(tiny: LanguageModel, chain: Chain, ask: Ask, decide: Any) -> None:
    rule, number = SequentialVote(6, 2), grader("number")
    for model, least in ((tiny, 20), (chain(right=0.2, wrong="1345"), 60)):
        writer = writer_of(model, decide, rule=rule)
        read = 0
        for trace in writer.write([q for q in ask(3) for _ in range(20)], range(60)):
            found = parse(trace.text, lambda text, q=trace.question: number.extract(q, text), cap=6, consensus=2)  # type: ignore[misc]
            assert list(found.trials) == trace.trials
            assert list(found.answers) == [grade.answer for grade in trace.grades]
            assert found.group == ("voting" if trace.voted else "single")
            assert found.answer == trace.answer
            if trace.answer is not None or not trace.voted:
                assert found.well_formed, found.defect
                read += 1
        assert read >= least


def test_the_text_says_how_many_agreed(chain: Chain, ask: Ask) -> None:
    (trace,) = writer_of(chain(right=1.0), rule=SequentialVote(4, 2)).write(ask(1), [0], vote=True)
    assert "The answer 2 was found 2 times" in trace.text


@pytest.mark.parametrize("decide", MODES)
def test_the_engine_closes_what_the_model_does_not(chain: Chain, ask: Ask, decide: Any) -> None:
    """Digits without end: each trial is as long as it may be, and its end is not the model's."""
    model = chain(closes=0.0, right=1.0) if decide == "after_first" else chain(closes=0.0, right=1.0, vote=1 - 1e-9)
    writer = writer_of(model, decide)
    (trace,) = writer.write(ask(1), [0], vote=True)
    assert trace.trials == ["200000"] * 3
    assert trace.chosen == expected_marks(trace, writer, forced=True)
    assert sum(trace.chosen) == 18
    (end,) = writer.form.end
    assert trace.tokens.count(end) == 2  # nothing follows the last
    assert parse(trace.text, lambda text: text.split()[-1] if text else None).well_formed


def test_an_end_of_text_ends_a_trial_and_no_more(chain: Chain, ask: Ask) -> None:
    model = chain({TRIAL: {"2": 1.0}, "2": {"<eos>": 1.0}, END: {TRIAL: 0.5, SINGLE: 0.5}})
    (trace,) = writer_of(model).write(ask(1), [0], vote=True)
    assert trace.trials == ["2"] * 3
    assert trace.tokens.count(2) == 3
    assert trace.success == 1.0


def test_a_tag_inside_a_trial_is_text(chain: Chain, ask: Ask) -> None:
    moves = {
        TRIAL: {"2": 0.5, TRIAL: 0.3, SINGLE: 0.2}, SINGLE: {"2": 1.0}, "2": {END: 0.8, TRIAL: 0.2},
        END: {TRIAL: 0.5, SINGLE: 0.5},
    }  # fmt: skip
    writer, number = writer_of(chain(moves)), grader("number")
    tagged = said = 0
    for trace in writer.write(ask(1) * 60, range(60)):
        tagged += trace.tokens.count(writer.form.trial[0]) > len(trace.trials)
        said += any(SINGLE in trial for trial in trace.trials)
        assert not any("[TRIAL]" in trial for trial in trace.trials)
        assert trace.chosen == expected_marks(trace, writer, forced=False)
        found = parse(trace.text, lambda text, q=trace.question: number.extract(q, text))  # type: ignore[misc]
        assert list(found.trials) == trace.trials
        assert found.well_formed or trace.answer is None, found.defect
    assert tagged > 10
    assert said > 5


@pytest.mark.parametrize("decide", MODES)
def test_tags_of_many_tokens_that_the_model_writes(byte_chain: LanguageModel, ask: Ask, decide: Any) -> None:
    """Whoever closes a trial, what follows stands behind the same text; the engine's part of the tag is not learnt."""
    writer = writer_of(byte_chain, decide, max_tokens=40)
    form, decode = writer.form, byte_chain.tokenizer.decode
    voted = 0
    for trace in writer.write([q for q in ask(3) for _ in range(10)], range(30)):
        if any(len(trial) > 30 for trial in trace.trials):
            continue  # cut short
        text = decode(trace.tokens)
        closing = "" if trace.voted or decide == "before" else SINGLE[0]
        opening = "" if decide == "after_first" else "Several attempts.\n" if trace.voted else "One attempt.\n"
        # An empty trial is closed by the tag alone: its blank is the one that the engine wrote.
        bodies = [f"[TRIAL] {trial} [/TRIAL]\n" if trial else "[TRIAL] [/TRIAL]\n" for trial in trace.trials]
        assert text == (opening + "".join(bodies) + closing).removesuffix("" if closing else "\n")
        own = decode([token for token, chosen in zip(trace.tokens, trace.chosen, strict=True) if chosen])
        bodies = [f"{trial} [/TRIAL]" if trial else "[/TRIAL]" for trial in trace.trials]
        if decide == "after_first":
            bodies.insert(1, decode([form.choices[not trace.voted]]))
        assert own == opening[:1] + "".join(bodies)
        voted += trace.voted
    assert voted > 3


# --- window ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("decide", MODES)
def test_no_room_in_the_window_ends_the_vote(chain: Chain, ask: Ask, decide: Any) -> None:
    model = chain(context=40, right=0.125, wrong="1345678", closes=0.0)
    writer = writer_of(model, decide)
    seen = set()
    for trace in writer.write([q for q in ask(3) for _ in range(10)], range(30), vote=True):
        used = len(trace.prompt.ids) + len(trace.tokens)
        assert used <= 40
        assert trace.consensus or used + 1 + writer.longest_trial > 40
        seen.add((trace.consensus, len(trace.trials)))
        answers = [grade.answer for grade in trace.grades]
        assert trace.answer == max(answers, key=answers.count)
        assert "no consensus" in trace.text or trace.consensus
    assert (False, 4) in seen


@pytest.mark.parametrize("decide", MODES)
def test_a_long_question_is_cut_so_that_two_trials_fit(make_bytes: Any, ask: Ask, decide: Any) -> None:
    model = make_bytes(context=128)
    writer = writer_of(model, decide)
    (trace,) = writer.write([Question.ask("7" * 500, answers=("2",), grader="text")], [0], vote=True)
    assert len(trace.trials) == 2
    assert 128 - 16 < len(trace.prompt.ids) + len(trace.tokens) + len(writer.form.end) <= 128 + len(writer.form.end)


def test_a_wide_window_is_not_reserved_for_short_traces(
    make: Callable[..., LanguageModel], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[int] = []
    copy = trace_writer.copy_rows

    def watched(cache: Any, rows: torch.Tensor, capacity: int) -> Any:
        reserved.append(capacity)
        return copy(cache, rows, capacity)

    monkeypatch.setattr(trace_writer, "copy_rows", watched)
    traces = writer_of(make(context=8192)).write(ask(4), range(4), vote=True)
    assert max(reserved) <= max(len(trace.prompt.ids) for trace in traces) + 8 * 8


# --- refusals -------------------------------------------------------------------------------------


def test_what_is_refused(tiny: LanguageModel, make: Callable[..., LanguageModel], ask: Ask) -> None:
    with pytest.raises(ConfigError, match="batch_size must be >= 1, got 0"):
        writer_of(tiny, batch_size=0)
    with pytest.raises(ConfigError, match="two trials of 62 tokens do not fit a window of 128"):
        writer_of(make(context=128), max_tokens=62)
    with pytest.raises(ConfigError, match="2 equal answers or more, got a rule that 1 settles"):
        writer_of(tiny, rule=SequentialVote(3, 1))
    with pytest.raises(DataError, match="2 questions but 1 sample numbers"):
        writer_of(tiny).write(ask(2), [0])
    assert writer_of(tiny).write([], []) == []


@pytest.mark.integration
@pytest.mark.parametrize("decide", MODES)
def test_the_embedded_model_in_any_batch(decide: Any) -> None:
    smol = load("smollm2-135m-instruct")
    questions = [Question.ask(f"What is {a} + 4?", answers=(str(a + 4),), grader="number") for a in (3, 21)]
    writer = writer_of(smol, decide, max_tokens=8, rule=SequentialVote(2, 2))
    together: Sequence[WrittenTrace] = writer.write(questions, [0, 0], vote=True)
    for trace, question in zip(together, questions, strict=True):
        assert same(trace, writer.write([question], [0], vote=True)[0])
        assert trace.logprob == pytest.approx(float(chosen_logprobs(smol, [trace])[0]), abs=1e-3)
        assert list(parse(trace.text, lambda text: text).trials) == trace.trials
        assert smol.tokenizer.decode(trace.tokens).count("[/TRIAL]\n[TRIAL] ") == len(trace.trials) - 1


# --- the question restated ------------------------------------------------------------------------


@pytest.mark.parametrize("decide", MODES)
def test_a_restated_question_opens_every_trial_and_is_no_choice(chain: Chain, ask: Ask, decide: Any) -> None:
    model = chain(context=200, right=0.5, wrong="1345678")
    plain = TraceFormat.of(model, decide)
    form = TraceFormat.of(model, decide, restate=True)
    policy = DecodingPolicy(max_tokens=6, temperature=1.0)
    for trace in TraceWriter(model, form, policy, batch_size=4).write(ask(6), range(6), vote=True):
        question = list(trace.prompt.ids[trace.prompt.shared :])
        assert plain.restated(trace.prompt) == ()
        written = [list(run) for own, run in groupby(range(len(trace.tokens)), trace.chosen.__getitem__) if not own]
        openings = [run for run in written if [trace.tokens[i] for i in run][-len(question) :] == question]
        assert len(openings) == len(trace.trials) >= 2
        assert [trace.tokens[i] for i in openings[0]][-len(question) - 1] == form.trial[-1]
