from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.errors import DataError
from forethought.voting.trace import SINGLE, Outcome, TraceParser, adaptive_prompt, parse, render, sequential_prompt


def extract(text: str) -> str | None:
    words = re.findall(r"\w+", text)
    return words[-1] if words else None


def trials(*answers: str) -> list[str]:
    return [f"I think it is {answer}" for answer in answers]


@pytest.mark.parametrize(
    ("answers", "final", "outcome"),
    [
        ("444", "4", "consensus"),
        ("4548594", "4", "consensus"),
        ("12345677", "7", "no consensus"),
        ("4", "4", "single"),
    ],
)
def test_what_is_rendered_is_read(answers: str, final: str, outcome: Outcome) -> None:
    trace = parse(render(trials(*answers), final, outcome), extract)
    assert (trace.trials, trace.answers) == (tuple(trials(*answers)), tuple(answers))
    assert (trace.answer, trace.well_formed, trace.defect) == (final, True, "")
    assert trace.group == ("single" if outcome == "single" else "voting")


def test_the_papers_example() -> None:
    text = "[TRIAL] 2 [/TRIAL] [TRIAL] 2 [/TRIAL] [TRIAL] 2 [/TRIAL] 2 occurred three times, it is the consensus. "
    trace = parse(text + "The final answer is: $\\boxed{2}$. I hope it is correct.", extract)
    assert (trace.answer, trace.group, trace.defect) == ("2", "voting", "")
    assert parse("[TRIAL] 2 [/TRIAL] Terminated due to difficulty level.", extract).well_formed


def test_a_plain_answer_is_no_vote() -> None:
    trace = parse("It is 4", extract)
    assert (trace.group, trace.answer, trace.trials, trace.well_formed) == ("plain", "4", (), True)


FINAL = "The final answer is 4. I hope it is correct."


@pytest.mark.parametrize(
    ("text", "answer", "defect"),
    [
        ("[TRIAL] 4", "4", "trial 1 is not closed"),
        ("[TRIAL] 4 [/TRIAL] [TRIAL] 5", "4", "trial 2 is not closed"),
        ("[TRIAL] 3 [TRIAL] 4 [/TRIAL] 5 [/TRIAL]", "4", "trial 1 has another one inside"),
        ("4 [/TRIAL]", "4", "[/TRIAL] after trial 0 closes nothing"),
        ("[TRIAL] 4 [/TRIAL]", "4", "a single trial must end with"),
        ("[TRIAL] 4 [/TRIAL]" * 9 + FINAL, "4", "9 trials were written, 8 are allowed"),
        ("[TRIAL] 4 [/TRIAL]" * 4 + FINAL, "4", "goes on after the consensus of trial 3"),
        ("[TRIAL] 4 [/TRIAL]" * 2 + FINAL, "4", "ends after 2 trials without consensus; 8 are due then"),
        ("[TRIAL] 4 [/TRIAL]" * 3, "4", "the closing text has no final answer"),
        ("[TRIAL] 5 [/TRIAL]" * 3 + FINAL, "4", "the final answer '4' is not the consensus"),
        ("[TRIAL] 4 [/TRIAL]" * 3 + "There is no consensus. " + FINAL, "4", "wrong about consensus: there is one"),
        (render(trials(*"12345678"), "4", "consensus"), "4", "wrong about consensus: there is not one"),
        (render(trials(*"12345678"), "9", "no consensus"), "9", "the final answer '9' is not of any trial"),
    ],
)
def test_malformed_traces_say_what_is_wrong(text: str, answer: str, defect: str) -> None:
    trace = parse(text, extract)
    assert (trace.well_formed, trace.answer) == (False, answer)
    assert defect in trace.defect


def test_other_caps_and_what_is_the_same() -> None:
    text = render(["it is 1/2", "it is 0.5"], "0.5", "consensus", consensus=2)
    read: dict[str, Any] = {"cap": 4, "consensus": 2}
    assert not parse(text, lambda t: t.split()[-1] if t else None, **read).well_formed
    assert parse(text, lambda t: t.split()[-1] if t else None, **read, same=lambda a, b: True).well_formed


def test_blank_trials_are_no_votes() -> None:
    text = "[TRIAL][/TRIAL]" * 3 + "[TRIAL] 4 [/TRIAL]" * 3 + FINAL
    trace = parse(text, extract)
    assert (trace.answers, trace.defect) == ((None, None, None, "4", "4", "4"), "")


@pytest.mark.parametrize(
    ("texts", "outcome"), [([], "consensus"), (["a", "b"], "single"), (["a [TRIAL]"], "no consensus")]
)
def test_what_cannot_be_rendered(texts: list[str], outcome: Outcome) -> None:
    with pytest.raises(DataError, match="trial"):
        render(texts, "a", outcome)


PIECES = st.sampled_from(
    ["[TRIAL]", "[/TRIAL]", "[", "[/", "[TR", "IAL]", "/", "]", " ", "4", "x", "\n", SINGLE, FINAL]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=25).map("".join))


@given(TEXTS, st.data())
def test_any_chunking_gives_the_trials_of_parse(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    parser = TraceParser()
    found = [trial for delta in deltas for trial in parser.feed(delta)]
    parser.close()
    whole = TraceParser()
    whole.feed(text)
    whole.close()
    assert tuple(found) == tuple(parser.trials) == parse(text, extract).trials
    assert (parser.closing, parser.defect) == (whole.closing, whole.defect)


@given(st.lists(st.text(), max_size=6))
def test_a_trial_is_known_with_its_last_character(texts: list[str]) -> None:
    clean = [re.sub(r"[\[\]]", "", text).strip() for text in texts]
    parser = TraceParser()
    for text in clean:
        assert [parser.feed(character) for character in f" [TRIAL]{text}[/TRIAL]"][-1] == [text]
    assert parser.trials == clean


@given(TEXTS, st.integers(1, 9), st.integers(1, 9))
def test_parse_never_raises(text: str, cap: int, consensus: int) -> None:
    trace = parse(text, extract, cap=max(cap, consensus), consensus=consensus)
    assert trace.well_formed == (trace.defect == "")
    assert len(trace.answers) == len(trace.trials)


def test_prompts_ask_for_the_format() -> None:
    for prompt in (sequential_prompt(6, 2), adaptive_prompt(6, 2)):
        assert all(word in prompt for word in ("[TRIAL]", "[/TRIAL]", "6 attempts", "2 attempts", "final answer is"))
    assert SINGLE in adaptive_prompt()
    assert SINGLE not in sequential_prompt()
