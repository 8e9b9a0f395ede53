from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from forethought.errors import ConfigError
from forethought.models import LanguageModel, build_decoder
from forethought.models.small_decoder import DecoderSize
from forethought.training.trace_format import END, ONCE, TRIAL, VOTE, TraceFormat
from forethought.voting.trace import SINGLE


def test_a_tokenizer_made_for_traces_has_one_token_a_part(tiny: LanguageModel) -> None:
    after, before = TraceFormat.of(tiny), TraceFormat.of(tiny, "before")
    for form, parts in ((after, (TRIAL, END, TRIAL, SINGLE)), (before, (TRIAL, END, VOTE, ONCE))):
        found = (form.trial, form.end, form.vote, form.once)
        assert [len(ids) for ids in found] == [1, 1, 1, 1]
        assert [tiny.tokenizer.decode(ids) for ids in found] == list(parts)
        assert form.choices == (form.vote[0], form.once[0])
        assert form.tail == ()


@pytest.mark.parametrize("decide", ["after_first", "before"])
def test_what_follows_a_tag_in_another_tokenizer(in_bytes: LanguageModel, decide: Any) -> None:
    form = TraceFormat.of(in_bytes, decide)
    decode = in_bytes.tokenizer.decode
    assert [decode(form.trial), decode(form.end), decode(form.tail)] == [TRIAL, END, "\n"]
    assert decode(list(form.choices)) == ("[T" if decide == "after_first" else "SO")


def test_what_is_refused(tiny: LanguageModel, chain: Callable[..., LanguageModel]) -> None:
    with pytest.raises(ConfigError, match="'after_first' or 'before', got 'never'"):
        TraceFormat.of(tiny, "never")  # type: ignore[arg-type]
    plain = build_decoder(DecoderSize(layers=1, width=16, heads=2, inner=24), seed=0)
    with pytest.raises(ConfigError, match=r"small-decoder: its tokenizer cannot write '.*TRIAL\]"):
        TraceFormat.of(plain)


def test_choices_that_begin_alike_are_no_choice(in_bytes: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forethought.training.trace_format.ONCE", "Sole attempt.\n")
    with pytest.raises(ConfigError, match="begin with one token"):
        TraceFormat.of(in_bytes, "before")
