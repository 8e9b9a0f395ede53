from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy, Question
from forethought.errors import ArtifactError, ConfigError, DataError
from forethought.models import LanguageModel
from forethought.training import (
    FullWeights,
    LowRank,
    SupervisedConfig,
    TraceFormat,
    TraceText,
    TraceWriter,
    chosen_logprobs,
    imitate,
    supervised,
)

CONFIG = SupervisedConfig(steps=30, batch=8, rate=1e-2)
Make = Callable[..., LanguageModel]


@pytest.fixture(scope="module")
def traces(chain: Callable[..., LanguageModel], ask: Callable[..., list[Question]]) -> list[TraceText]:
    """What a chain writes, to be imitated by a decoder with the same tokens."""
    model = chain(vote=0.5, right=0.7)
    policy = DecodingPolicy(temperature=1.0, max_tokens=6)
    written = TraceWriter(model, TraceFormat.of(model), policy).write([q for q in ask(4) for _ in range(6)], range(24))
    return [TraceText(trace.prompt, trace.tokens, trace.chosen) for trace in written]


def bits(learner: Any) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.parameters]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def taken(learner: Any, traces: list[TraceText], config: SupervisedConfig, folder: Path, steps: int) -> list[Any]:
    run = imitate(learner, traces, config, checkpoint=folder)
    found = [next(run) for _ in range(steps)]
    run.close()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("kind", [FullWeights, LowRank])
def test_imitation_lowers_the_loss_of_what_was_chosen(make: Make, traces: list[TraceText], kind: Any) -> None:
    learner = kind(make())
    with torch.no_grad():
        before = chosen_logprobs(learner.model, traces).sum()
    history = list(imitate(learner, traces, CONFIG))
    with torch.no_grad():
        after = chosen_logprobs(learner.model, traces).sum()
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert after > 0.7 * before  # both are below 0
    assert [figures["step"] for figures in history] == list(range(30))


def test_the_loss_is_that_of_a_chosen_token(make: Make, traces: list[TraceText]) -> None:
    model = make()
    (first,) = {trace.prompt: trace for trace in traces[:1]}.values()
    figures = next(iter(imitate(FullWeights(model), [first], CONFIG)))
    with torch.no_grad():
        wanted = -float(chosen_logprobs(model, [first])[0]) / sum(first.chosen)
    assert figures["loss"] == pytest.approx(wanted, rel=1e-5)


def test_what_was_not_chosen_does_not_teach(make: Make, traces: list[TraceText]) -> None:
    """Other last tokens that the engine wrote move nothing; chosen ones do."""
    closed = [TraceText(t.prompt, [*t.tokens, 21], [*t.chosen, False]) for t in traces]
    other = [TraceText(t.prompt, [*t.tokens, 5], [*t.chosen, False]) for t in traces]
    chosen = [TraceText(t.prompt, [*t.tokens, 5], [*t.chosen, True]) for t in traces]
    found = []
    for texts in (closed, other, chosen):
        learner = FullWeights(make())
        list(imitate(learner, texts, replace(CONFIG, steps=2)))
        found.append(bits(learner))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found[0], found[1], strict=True))
    assert not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found[0], found[2], strict=True))


def test_a_killed_run_goes_on_as_if_it_had_not_been(make: Make, traces: list[TraceText], tmp_path: Path) -> None:
    whole = FullWeights(make())
    history = list(imitate(whole, traces, CONFIG))
    before = taken(FullWeights(make()), traces, CONFIG, tmp_path / "run", 27)  # saved after 20
    resumed = FullWeights(make())
    after = list(imitate(resumed, traces, CONFIG, checkpoint=tmp_path / "run"))
    assert equal(bits(whole), bits(resumed))
    assert before[:20] + after == history
    ended = FullWeights(make())
    assert list(imitate(ended, traces, CONFIG, checkpoint=tmp_path / "run")) == history[-1:]
    assert equal(bits(whole), bits(ended))


@pytest.mark.parametrize("change", ["config", "traces", "marks", "weights", "parameters"])
def test_a_checkpoint_of_another_run_is_refused(
    make: Make, traces: list[TraceText], tmp_path: Path, change: str
) -> None:
    config = SupervisedConfig(steps=25, batch=2)
    taken(FullWeights(make()), traces[:6], config, tmp_path / "run", 25)
    learner = LowRank(make()) if change == "parameters" else FullWeights(make(seed=int(change == "weights")))
    texts = traces[:5] if change == "traces" else traces[:6]
    if change == "marks":
        texts = [*texts[:5], TraceText(texts[5].prompt, texts[5].tokens, [True] * len(texts[5].tokens))]
    changed = replace(config, seed=1) if change == "config" else config
    with pytest.raises(ArtifactError, match="other settings, other data or other weights"):
        next(iter(imitate(learner, texts, changed, checkpoint=tmp_path / "run")))


def test_a_seed_decides_the_batches(make: Make, traces: list[TraceText]) -> None:
    def losses(seed: int) -> list[float]:
        config = replace(CONFIG, seed=seed, steps=4)
        return [figures["loss"] for figures in imitate(FullWeights(make()), traces, config)]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_losses_that_are_not_finite(make: Make, traces: list[TraceText], monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped one by one, and too many end the run."""
    bad: set[int] = set()
    count = iter(range(10_000))

    def sometimes(model: LanguageModel, texts: Any) -> torch.Tensor:
        found = chosen_logprobs(model, texts)
        return found * float("nan") if next(count) in bad else found

    monkeypatch.setattr(supervised, "chosen_logprobs", sometimes)
    bad |= {1, 3}
    learner = FullWeights(make())
    before, moves = bits(learner), []
    for _ in imitate(learner, traces, replace(CONFIG, steps=5)):
        moves.append(not equal(before, bits(learner)))
        before = bits(learner)
    assert moves == [True, False, True, False, True]
    bad |= set(range(10_000))
    run = imitate(FullWeights(make()), traces, CONFIG)
    with pytest.raises(DataError, match="not finite in 21 steps, the last of them 20"):
        list(run)


def test_what_is_refused(make: Make, traces: list[TraceText]) -> None:
    with pytest.raises(ConfigError, match="steps and batch must be >= 1, got 0 and 32"):
        SupervisedConfig(steps=0)
    with pytest.raises(ConfigError, match=r"warmup is a share of the steps in \[0, 1\], got 1\.5"):
        SupervisedConfig(warmup=1.5)
    with pytest.raises(ConfigError, match="learning rate"):
        next(iter(imitate(FullWeights(make()), traces, replace(CONFIG, rate=0.0))))
    with pytest.raises(DataError, match="there is no trace to imitate"):
        next(iter(imitate(FullWeights(make()), [], CONFIG)))
    good = traces[0]
    none = TraceText(good.prompt, good.tokens, [False] * len(good.tokens))
    short = TraceText(good.prompt, good.tokens, good.chosen[:-1])
    for odd in (none, short):
        with pytest.raises(DataError, match="trace 1 is malformed"):
            next(iter(imitate(FullWeights(make()), [good, odd], CONFIG)))
