"""What goes wrong when exits are learned, each shown or shut out by a test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitRule
from forethought.early_exit.calibration import CalibrationConfig, calibrate, forward_kl
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.evaluation import ADAPTED, UNMODIFIED, Detail, Evaluation, evaluate
from forethought.early_exit.free_running import free_run
from forethought.early_exit.gates import GateFitConfig, fit_gates, look
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, readout, run
from forethought.early_exit.reinforcement import ReinforcementConfig, reinforce
from forethought.early_exit.rules import Never, Prescribed, Sampled, StaticCut, Threshold
from forethought.early_exit.stick_breaking import exit_probabilities, gate_targets
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace, record_traces
from forethought.models import LanguageModel, load
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Generator, Prompt

torch.set_num_threads(1)
N = 60
POLICY = DecodingPolicy(max_tokens=24)


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return load("arithmetic-small")


@pytest.fixture(scope="module")
def task(small: LanguageModel) -> Task:
    return Task(small, POLICY, arithmetic_questions("test", N, seed=0, levels=(1, 2)))


@pytest.fixture(scope="module")
def traces(small: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> list[Trace]:
    asked = Task(small, POLICY, arithmetic_questions("train", 96, seed=0, levels=(1, 2)))
    return record_traces(asked, tmp_path_factory.mktemp("traces"), samples=1, temperature=0.0)


@pytest.fixture(scope="module")
def calibrated(small: LanguageModel, traces: list[Trace]) -> ExitModel:
    """Sixty steps of stage 1, and gates."""
    model = ExitModel(small, ExitConfig((1, 2, 3, 4, 5)))
    list(calibrate(model, traces, CalibrationConfig(steps=60, batch=8)))
    fit_gates(model, look(model, traces), GateFitConfig(batch=128, rate=1e-2))
    return model


@pytest.fixture(scope="module")
def evaluation(calibrated: ExitModel, task: Task) -> Evaluation:
    gates = GateConfidence(calibrated)
    cuts = {f"static {layer}": StaticCut(layer) for layer in calibrated.config.layers}
    rules: dict[str, ExitRule] = {"threshold": Threshold(gates, 0.97), "sampled": Sampled(gates), **cuts}
    return evaluate(calibrated, task, rules, detail=Detail(draws=50))


def accuracy(evaluation: Evaluation, name: str) -> float:
    return float(evaluation.rules[name].answers.success.mean())


# 1: float error makes a divergence negative, and q exceeds 1.


def test_a_negative_divergence_would_break_the_draw_of_exits_and_is_clamped() -> None:
    rounded = torch.tensor([[-1e-6, 0.3, 0.0]])
    unclamped = exit_probabilities(1 - torch.tanh(rounded / 2))
    with pytest.raises(RuntimeError, match="probability tensor contains"):
        torch.multinomial(unclamped, 1)
    assert torch.multinomial(exit_probabilities(gate_targets(rounded, 1.0)), 1).item() == 0


# 2: measured against the student's own moving last layer, with all weights trainable, the model collapses.


def collapsed(small: LanguageModel, traces: list[Trace]) -> tuple[float, float]:
    """Train every weight until exits agree with the model's own last layer.

    Returns:
        How far the first exit agrees with the last layer, and the last layer with the answers.
    """
    model = copy.deepcopy(small.model).requires_grad_(True)
    sequences = [[*trace.prompt.ids, *trace.tokens] for trace in traces]
    width = max(map(len, sequences))
    ids = torch.tensor([sequence + [0] * (width - len(sequence)) for sequence in sequences])
    place = torch.arange(width - 1)
    begun = torch.tensor([len(trace.prompt.ids) for trace in traces])[:, None]
    ended = torch.tensor([len(sequence) for sequence in sequences])[:, None]
    written = (place >= begun - 1) & (place + 1 < ended)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)

    def read() -> list[torch.Tensor]:
        states = model(ids[:, :-1], output_hidden_states=True).hidden_states
        exits = [model.lm_head(model.model.norm(state[written])) for state in states[1:-1]]
        return [*exits, model.lm_head(states[-1][written])]

    for _ in range(60):
        *exits, full = read()
        own = torch.log_softmax(full, dim=-1)
        loss = torch.stack([forward_kl(logits, own).mean() for logits in exits]).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.no_grad():
        first, *_, full = (logits.argmax(dim=-1) for logits in read())
    return float((first == full).float().mean()), float((full == ids[:, 1:][written]).float().mean())


def test_against_its_own_moving_last_layer_a_model_collapses(small: LanguageModel, traces: list[Trace]) -> None:
    agreement, kept = collapsed(small, traces[:12])
    assert agreement > 0.9, "exits say what full depth says"
    assert kept < 0.5, "which is no longer what the model said: it was all of it before"


def test_full_depth_stays_what_it_was_after_calibration(evaluation: Evaluation, calibrated: ExitModel) -> None:
    """A tenth below the unmodified model is six questions of sixty, two standard errors of an accuracy near .9."""
    assert accuracy(evaluation, UNMODIFIED) > 0.85
    assert accuracy(evaluation, ADAPTED) > accuracy(evaluation, UNMODIFIED) - 0.1
    moved = [adapter for name, adapter in calibrated.adapters.state().items() if name.endswith("up")]
    assert any(adapter.any() for adapter in moved), "the adapters did learn"


def test_targets_do_not_move_with_the_student(small: LanguageModel, calibrated: ExitModel, traces: list[Trace]) -> None:
    """What is matched is the same bits before and after training."""
    answers = Answers.of([trace.prompt for trace in traces[:8]], [trace.tokens for trace in traces[:8]])
    fresh = ExitModel(small, calibrated.config)
    with torch.no_grad():
        before, after = (
            model.teacher.logits(run(model.teacher, PrefixReader(model).read(answers), answers, ()).final)
            for model in (fresh, calibrated)
        )
    assert torch.equal(before, after)


# 3: exits that follow the token have to beat a cut at one layer.


def test_static_cuts_stand_beside_adaptive_exits_on_the_same_questions(evaluation: Evaluation) -> None:
    """The adaptive rule is on the better side of every cut that is no deeper than it is."""
    adaptive = evaluation.rules["threshold"].summary
    cuts = [rule.summary for name, rule in evaluation.rules.items() if name.startswith("static")]
    assert sorted(cut.mean_depth.value for cut in cuts) == [1, 2, 3, 4, 5]
    assert 1 < adaptive.mean_depth.value < 6
    shallower = [cut for cut in cuts if cut.mean_depth.value <= adaptive.mean_depth.value]
    assert shallower
    assert all(adaptive.accuracy.value > cut.accuracy.value for cut in shallower)


# 4: one wrong token spoils all that follow, and chance makes some.


def test_exits_by_chance_lose_answers_that_a_threshold_at_the_same_gates_keeps(evaluation: Evaluation) -> None:
    threshold, sampled = evaluation.rules["threshold"].summary, evaluation.rules["sampled"].summary
    assert threshold.exact_match.value > sampled.exact_match.value + 0.1
    assert threshold.accuracy.value > sampled.accuracy.value
    per_token = threshold.agreement.value - sampled.agreement.value
    assert threshold.exact_match.value - sampled.exact_match.value > per_token, "errors compound over an answer"


# 5: prompts are read whole, so a saving on generated tokens is less of the total.


def test_prompts_and_generated_tokens_are_metered_apart(evaluation: Evaluation, calibrated: ExitModel) -> None:
    prompts = [Prompt((1, 2, 3, 4, 5), 1)]
    meters = []
    for rule in (Never(), StaticCut(1)):
        decoder = ExitDecoder(calibrated, rule, POLICY, stops=lambda token: False)
        decoder.generate(prompts, [0], [b"k"])
        meters.append(decoder.meter)
    whole, cut = meters
    assert (whole.prompt_tokens, whole.prompt_macs) == (cut.prompt_tokens, cut.prompt_macs)
    assert whole.prompt_tokens == 5
    assert (whole.passes, whole.layers, cut.passes, cut.layers) == (23, 23 * 6, 23, 23)
    saved = evaluation.rules["static 1"].summary
    assert 0 < saved.macs_saved_with_prompts.value < saved.macs_saved.value


# 6: it is the cost charged to the token's own pass that lowers depth.


def test_a_price_charged_to_each_pass_lowers_depth(small: LanguageModel) -> None:
    model = ExitModel(small, ExitConfig((1, 3, 5)))
    asked = Task(small, DecodingPolicy(max_tokens=8), arithmetic_questions("train", 12, seed=0, levels=(1,)))
    config = ReinforcementConfig(steps=8, prompts=2, group=3, price=5.0, beta=0.0, gate_rate=5e-2)
    before = free_run(model, Sampled(GateConfidence(model)), asked).meter.mean_depth
    list(reinforce(model, asked, config))
    after = free_run(model, Sampled(GateConfidence(model)), asked).meter.mean_depth
    assert after < before - 0.4


# 7: training and decoding compute the same model, and full depth is the unmodified one.


def test_full_depth_without_adapters_is_the_unmodified_model_to_the_last_bit(small: LanguageModel, task: Task) -> None:
    model = ExitModel(small, ExitConfig((1, 2, 3, 4, 5), map_rank=4))
    prompts, keys = task.prompts()[:12], [task.key(i, 0) for i in range(12)]
    own = Generator(small, POLICY, small.eos.__contains__).generate(prompts, list(range(12)), keys)
    depths = torch.full((12, POLICY.max_tokens), 6)
    for rule in (Never(), Prescribed(depths)):
        found = ExitDecoder(model, rule, POLICY).generate(prompts, range(12), keys)
        assert [answer.tokens for answer in found] == [answer.tokens for answer in own]
    ids = torch.tensor([prompts[0].ids])
    hidden = model.teacher.embed(ids)
    frame = model.teacher.frame(hidden, torch.arange(ids.shape[1])[None], torch.ones_like(ids, dtype=torch.bool))
    with torch.no_grad():
        from transformers.cache_utils import DynamicCache

        cache = DynamicCache(config=small.model.config)
        for layer in range(model.n_layers):
            hidden = model.teacher.layer(layer, hidden, frame, cache)
        assert torch.equal(model.teacher.logits(hidden), small.model(ids).logits)


@torch.no_grad()
def test_prescribed_exits_of_training_are_the_decoders(
    calibrated: ExitModel, drive: Callable[..., Any], task: Task
) -> None:
    """Logits of every pass of a trained model, at depths that its own gates drew."""
    prompts = task.prompts()[:6]
    policy = DecodingPolicy(max_tokens=12, temperature=1.0)
    free, answers = drive(ExitDecoder(calibrated, Sampled(GateConfidence(calibrated)), policy), prompts)
    written = Answers.of(prompts, [answer.tokens for answer in answers])
    depths = torch.tensor([answer.depths[1:] for answer in answers])
    assert depths.unique().numel() > 2
    passage = run(calibrated.student, PrefixReader(calibrated).read(written), written, (1, 2, 3, 4, 5), depths)
    logits = calibrated.student.logits(readout(calibrated, passage.final, depths))
    assert torch.allclose(logits, free[:, 1:], atol=1e-3)
