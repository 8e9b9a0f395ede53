from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit import calibration
from forethought.early_exit.calibration import (
    CalibrationConfig,
    calibrate,
    forward_kl,
    gate_cross_entropy,
    reverse_kl,
)
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.passage import Answers, Passage, PrefixReader, run, run_moving
from forethought.early_exit.stick_breaking import exit_probabilities, gate_targets
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace, record_traces
from forethought.errors import ArtifactError, ConfigError, DataError
from forethought.models import LanguageModel, Schedule, load
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Prompt

torch.set_num_threads(1)
CONFIG = CalibrationConfig(steps=6, batch=4, adapter_rate=3e-3, head_rate=1e-2)


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return load("arithmetic-small")


@pytest.fixture(scope="module")
def traces(small: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> list[Trace]:
    questions = arithmetic_questions("train", 32, seed=0, levels=(1, 2))
    task = Task(small, DecodingPolicy(max_tokens=24), questions)
    return record_traces(task, tmp_path_factory.mktemp("traces"), samples=1, temperature=0.0)


def fresh(base: LanguageModel, **config: Any) -> ExitModel:
    return ExitModel(base, ExitConfig((1, 3, 5), map_rank=2, **config))


def bits(model: ExitModel) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in model.state().items()}


def random_traces(prompts: list[Prompt], vocabulary: int, length: int = 6) -> list[Trace]:
    generator = torch.Generator().manual_seed(5)
    answers = torch.randint(0, vocabulary, (len(prompts), length), generator=generator).tolist()
    return [Trace(i, prompt, answer) for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))]


# --- targets ------------------------------------------------------------------------------------


class Looked(NamedTuple):
    """What one batch of answers, all of whose tokens reach every exit, gave."""

    wanted: torch.Tensor
    targets: torch.Tensor


def looked(model: ExitModel, traces: list[Trace], *, every_token: bool = False, **config: Any) -> Looked:
    """Logits to match, (real passes, vocabulary), and q, (rows, passes, K)."""
    stage = calibration._Stage(model, traces, CalibrationConfig(whole=1.0, **config))
    if every_token:
        stage.written = None
    answers = answers_of(traces)
    prefix = stage.reader.read(answers)
    states, wanted = stage._teach(prefix, answers)
    leaving = calibration._Leaving(stage, wanted, states, answers.passes, torch.Generator().manual_seed(0))
    run_moving(model.student, prefix, answers, model.config.layers, leaving)
    assert (leaving.depths == model.n_layers).all()
    return Looked(wanted, leaving.targets)


def answers_of(traces: list[Trace]) -> Answers:
    return Answers.of([trace.prompt for trace in traces], [trace.tokens for trace in traces])


def test_targets_lie_between_0_and_1_where_rounding_makes_a_divergence_negative() -> None:
    logits = 8 * torch.randn(4096, 50, generator=torch.Generator().manual_seed(0))
    near = logits + 1e-6 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    raw = forward_kl(near, torch.log_softmax(logits, dim=-1))
    assert raw.min() < 0, "the case under test does not arise"
    targets = gate_targets(raw, kappa=50.0)
    assert targets.min() >= 0
    assert targets.max() == 1
    torch.multinomial(exit_probabilities(targets[:, None]), 1)  # a valid categorical


@torch.no_grad()
def test_targets_are_1_where_layers_change_nothing(make: Callable[..., LanguageModel], prompts: list[Prompt]) -> None:
    idle = make(seed=3)
    for layer in idle.model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    _, targets = looked(ExitModel(idle, ExitConfig((1, 2, 3))), random_traces(prompts, 258), kappa=1e3)
    assert targets.max() <= 1
    assert torch.allclose(targets, torch.ones(()), atol=1e-3)


@pytest.mark.parametrize("reference", ["teacher", "student"])
@pytest.mark.parametrize("map_rank", [0, 3])
@torch.no_grad()
def test_targets_are_those_of_the_plain_models_hidden_states(
    base: LanguageModel, exits: Callable[..., ExitModel], prompts: list[Prompt], map_rank: int, reference: Any
) -> None:
    """Final norm and head of every hidden state that transformers gives, in fp64."""
    model = exits(base, map_rank=map_rank)
    if reference == "student":  # without adapters the student's hidden states are transformers' own
        for parameter in model.adapters.parameters():
            parameter.zero_()
    traces = random_traces(prompts, 258)
    wanted, targets = looked(model, traces, every_token=True, kappa=0.7, reference=reference)
    wanted = torch.log_softmax(wanted, dim=-1).view(*targets.shape[:2], -1)
    decoder = base.model

    def read(hidden: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(decoder.lm_head(decoder.model.norm(hidden)).double(), dim=-1)

    for row, trace in enumerate(traces):
        ids = torch.tensor([[*trace.prompt.ids, *trace.tokens[:-1]]])
        states = decoder(ids, output_hidden_states=True).hidden_states
        here = slice(len(trace.prompt.ids), None)
        full = torch.log_softmax(decoder(ids).logits[0, here].double(), dim=-1)
        assert torch.allclose(wanted[row].double(), full, atol=1e-4)
        for exit, layer in enumerate(model.config.layers):
            seen = read(model.heads.mapped(exit, states[layer][0, here]))
            divergence = (full.exp() * (full - seen)).sum(dim=-1)
            direct = 1 - torch.tanh(0.7 * divergence / 2)
            assert torch.allclose(targets[row, :, exit].double(), direct, atol=1e-4)
    assert targets.max() - targets.min() > 0.1


@torch.no_grad()
def test_targets_compare_distributions_over_the_tokens_that_were_written(
    model: ExitModel, prompts: list[Prompt]
) -> None:
    traces = random_traces(prompts, 9)
    few = sorted({token for trace in traces for token in trace.tokens})
    _, targets = looked(model, traces, reference="teacher")
    answers = answers_of(traces)
    passage = run(model.teacher, PrefixReader(model).read(answers), answers, model.config.layers)
    full = torch.log_softmax(model.teacher.logits(passage.final)[..., few].double(), dim=-1)
    mapped = model.heads.mapped(1, passage.exits[1])
    seen = torch.log_softmax(model.teacher.logits(mapped)[..., few].double(), dim=-1)
    direct = 1 - torch.tanh((full.exp() * (full - seen)).sum(dim=-1) / 2)
    assert torch.allclose(targets[..., 1].double(), direct, atol=1e-4)
    assert not torch.allclose(targets, looked(model, traces, every_token=True, reference="teacher").targets, atol=1e-3)


@torch.no_grad()
def test_agreement_is_1_where_the_likeliest_tokens_are_the_same(model: ExitModel, prompts: list[Prompt]) -> None:
    traces = random_traces(prompts, 258)
    wanted, targets = looked(model, traces, label="agreement", reference="teacher", every_token=True)
    answers = answers_of(traces)
    passage = run(model.teacher, PrefixReader(model).read(answers), answers, model.config.layers)
    said = model.teacher.logits(model.heads.mapped(2, passage.exits[2])).argmax(dim=-1)
    assert torch.equal(targets[..., 2], (said == wanted.argmax(dim=-1).view(said.shape)).float())
    assert set(targets.unique().tolist()) == {0.0, 1.0}


@torch.no_grad()
def test_the_reference_is_whose_exits_are_compared(model: ExitModel, prompts: list[Prompt]) -> None:
    traces = random_traces(prompts, 258)
    own, adapted = (looked(model, traces, reference=reference) for reference in ("teacher", "student"))
    assert torch.equal(own.wanted, adapted.wanted), "what is to be matched is the unmodified model's in either case"
    assert not torch.allclose(own.targets, adapted.targets, atol=1e-3)


# --- exits --------------------------------------------------------------------------------------

Q = torch.tensor([0.2, 0.5, 0.3])
"""pi: .2, .4, .12 and .28 for full depth."""


def left(model: ExitModel, rows: int, passes: int, **config: Any) -> calibration._Leaving:
    """Tokens whose target is Q at every state."""
    stage = calibration._Stage(model, [Trace(0, Prompt((1, 2), 1), [3, 4])], CalibrationConfig(**config))
    stage.target = lambda exit, hidden, wanted: Q[exit].expand(len(hidden))  # type: ignore[method-assign]
    taken = torch.ones(rows, passes, dtype=torch.bool)
    states = torch.zeros(3, rows, passes, 1)
    wanted, generator = torch.zeros(rows * passes, 1), torch.Generator().manual_seed(0)
    leaving = calibration._Leaving(stage, wanted, states, taken, generator)
    for layer in range(4):
        going = leaving(layer, states[0])
        assert torch.equal(going, leaving.depths > layer)
    return leaving


def shares(depths: torch.Tensor) -> torch.Tensor:
    return torch.stack([(depths == depth).float().mean() for depth in (1, 2, 3, 4)])


@pytest.mark.parametrize(
    ("explore", "chances"),
    [(0.0, [0.2, 0.4, 0.12, 0.28]), (1.0, [0.25] * 4), (0.5, [0.225, 0.325, 0.185, 0.265])],
)
def test_exits_are_drawn_from_the_stick_breaking_of_the_targets_or_evenly(
    model: ExitModel, explore: float, chances: list[float]
) -> None:
    assert torch.allclose(exit_probabilities(Q), torch.tensor([0.2, 0.4, 0.12, 0.28]))
    found = shares(left(model, 200, 200, explore=explore, whole=0.0).depths)
    assert torch.allclose(found, torch.tensor(chances), atol=4 * 0.5 / 200)  # four standard errors of 40 000 draws


def test_a_share_of_the_answers_goes_to_full_depth_as_a_whole(model: ExitModel) -> None:
    depths = left(model, 4000, 12, explore=0.0, whole=0.25).depths
    full = (depths == 4).all(dim=1)
    assert float(full.float().mean()) == pytest.approx(0.25, abs=4 * 0.43 / 4000**0.5)
    assert torch.allclose(shares(depths[~full]), torch.tensor([0.2, 0.4, 0.12, 0.28]), atol=0.02)
    assert (left(model, 10, 5, whole=1.0).depths == 4).all()


def test_targets_stand_at_the_exits_that_a_token_reached(model: ExitModel) -> None:
    leaving = left(model, 50, 20, explore=0.3, whole=0.1)
    reached = leaving.depths[..., None] >= torch.tensor([1, 2, 3])
    assert torch.equal(leaving.targets, torch.where(reached, Q, 0.0))


# --- losses -------------------------------------------------------------------------------------


def test_the_divergences_by_hand() -> None:
    student, teacher = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log(), torch.tensor([[0.25, 0.75], [0.9, 0.1]]).log()
    wanted = [0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log(), torch.tensor(0.0)]
    assert torch.allclose(reverse_kl(student + 3.0, teacher), torch.stack(wanted), atol=1e-6)
    assert torch.allclose(forward_kl(teacher + 3.0, student), torch.stack(wanted), atol=1e-6)


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_the_direction_is_that_of_the_divergence_that_is_trained_on(
    model: ExitModel, prompts: list[Prompt], direction: Any
) -> None:
    """All tokens at full depth, along answers of one length."""
    traces = random_traces(prompts, 258)
    stage = calibration._Stage(model, traces, CalibrationConfig(batch=5, whole=1.0, direction=direction))
    _, figures = stage.loss(0)
    answers = answers_of(traces)
    with torch.no_grad():
        prefix = stage.reader.read(answers)
        student, teacher = (
            torch.log_softmax(blocks.logits(run(blocks, prefix, answers, ()).final), dim=-1)
            for blocks in (model.student, model.teacher)
        )
    one, other = (student, teacher) if direction == "reverse" else (teacher, student)
    assert figures["divergence"] == pytest.approx(float((one.exp() * (one - other)).sum(-1).mean()), rel=1e-3)


def test_only_gates_that_a_token_reached_learn_from_it(model: ExitModel) -> None:
    """By hand, from each gate's own cross-entropy."""
    states = torch.randn(3, 1, 4, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    depths, taken = torch.tensor([[1, 3, 4, 1]]), torch.tensor([[True, True, True, False]])
    targets = torch.rand(1, 4, 3, generator=torch.Generator().manual_seed(1))
    loss = gate_cross_entropy(model, Passage(states, states[0]), depths, targets, taken)
    total = torch.zeros((), dtype=torch.float64)
    for token, gates in ((0, (0,)), (1, (0, 1, 2)), (2, (0, 1, 2))):
        for k in gates:
            p, q = torch.sigmoid(model.heads.gate_logit(k, states[k, 0, token]).double()), targets[0, token, k]
            total = total - q * p.log() - (1 - q) * (1 - p).log()
    assert loss.item() == pytest.approx(total.item() / 3, abs=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert states.grad is None, "a gate bends no state"
    model.heads.zero_grad()


# --- training -----------------------------------------------------------------------------------


def judged(model: ExitModel, traces: list[Trace]) -> dict[str, float]:
    """Means over fixed batches and evenly drawn exits."""
    stage = calibration._Stage(model, traces, CalibrationConfig(batch=8, explore=1.0, whole=0.0))
    with torch.no_grad():
        found = [{"loss": float(loss), **figures} for loss, figures in (stage.loss(1000 + i) for i in range(4))]
    return {name: sum(figures[name] for figures in found) / 4 for name in found[0]}


def test_a_few_steps_lower_the_loss_and_leave_the_unmodified_model_alone(
    small: LanguageModel, traces: list[Trace]
) -> None:
    model = fresh(small)
    before, weights = judged(model, traces), {k: v.clone() for k, v in small.model.state_dict().items()}
    history = list(calibrate(model, traces, replace(CONFIG, steps=40, batch=8, explore=1.0, whole=0.0)))
    after = judged(model, traces)
    assert after["mean_depth"] == before["mean_depth"], "the same exits"
    assert after["loss"] < 0.75 * before["loss"]
    assert after["divergence"] < 0.9 * before["divergence"]
    assert after["gates"] < before["gates"]
    assert after["agreement"] > before["agreement"]
    assert all(torch.equal(weights[name], tensor) for name, tensor in small.model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in small.model.parameters())
    assert {"step", "loss", "divergence", "gates", "mean_depth", "agreement"} == set(history[0])


def test_at_first_the_adapted_model_passed_whole_is_the_unmodified_one(
    small: LanguageModel, traces: list[Trace]
) -> None:
    figures = next(calibrate(fresh(small), traces, replace(CONFIG, whole=1.0)))
    assert figures["divergence"] == pytest.approx(0, abs=1e-5)
    assert figures["agreement"] == 1
    assert figures["mean_depth"] == 6


def test_a_seed_gives_the_same_training_again(small: LanguageModel, traces: list[Trace]) -> None:
    def trained(seed: int) -> tuple[list[dict[str, float]], dict[str, list[float]]]:
        model = fresh(small)
        return list(calibrate(model, traces, replace(CONFIG, steps=3, seed=seed))), bits(model)

    first = trained(0)
    assert trained(0) == first
    assert trained(1) != first


def test_a_killed_run_resumed_in_a_new_model_is_the_uninterrupted_one(
    small: LanguageModel, traces: list[Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "Schedule", partial(Schedule, every=2))
    whole = fresh(small)
    history = list(calibrate(whole, traces, CONFIG))
    steps = calibrate(fresh(small), traces, CONFIG, checkpoint=tmp_path / "run")
    for _ in range(5):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    resumed = fresh(small)
    assert list(calibrate(resumed, traces, CONFIG, checkpoint=tmp_path / "run")) == history[4:]
    assert bits(resumed) == bits(whole)


def test_a_checkpoint_of_another_run_is_refused(
    base: LanguageModel, prompts: list[Prompt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "Schedule", partial(Schedule, every=1))
    traces = random_traces(prompts, 258)

    def go_on(layers: tuple[int, ...] = (1, 2), seed: int = 0, traces: list[Trace] = traces, **other: Any) -> None:
        model = ExitModel(base, ExitConfig(layers), seed=seed)
        next(calibrate(model, traces, replace(CONFIG, **other), checkpoint=tmp_path / "run"))

    go_on()
    go_on()
    shifted = [replace(trace, prompt=Prompt((9, *trace.prompt.ids[1:]), 1)) for trace in traces]
    for other in ({"layers": (1, 3)}, {"seed": 1}, {"kappa": 2.0}, {"traces": traces[1:]}, {"traces": shifted}):
        with pytest.raises(ArtifactError, match="is of a run with other settings, other data or other weights"):
            go_on(**other)  # type: ignore[arg-type]


def test_answers_of_one_token_teach_nothing(base: LanguageModel, prompts: list[Prompt]) -> None:
    short = [Trace(i, prompt, [7]) for i, prompt in enumerate(prompts)]
    with pytest.raises(DataError, match="none of 5 traces has two tokens"):
        next(calibrate(fresh_tiny(base), short, CONFIG))
    with pytest.raises(DataError, match="none of 0 traces"):
        next(calibrate(fresh_tiny(base), [], CONFIG))


def test_answers_of_one_token_are_passed_over(base: LanguageModel, prompts: list[Prompt]) -> None:
    long = random_traces(prompts, 258)
    mixed = [*long, *(Trace(i, prompt, [7]) for i, prompt in enumerate(prompts))]
    assert list(calibrate(fresh_tiny(base), mixed, CONFIG)) == list(calibrate(fresh_tiny(base), long, CONFIG))


def fresh_tiny(base: LanguageModel) -> ExitModel:
    return ExitModel(base, ExitConfig((1, 2, 3), map_rank=2))


def test_reduced_precision_gives_about_the_same_figures(base: LanguageModel, prompts: list[Prompt]) -> None:
    traces = random_traces(prompts, 258)
    exact, rough = (next(calibrate(fresh_tiny(base), traces, replace(CONFIG, reduced=r))) for r in (False, True))
    assert rough["divergence"] == pytest.approx(exact["divergence"], rel=0.1)
    assert rough["divergence"] != exact["divergence"]


class Fixed:
    """One batch, whatever is drawn."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def draw(self, generator: torch.Generator) -> Answers:
        return self.answers


def test_padding_contributes_nothing(model: ExitModel, prompts: list[Prompt]) -> None:
    """What stands in the places past an answer's end changes no gradient."""
    answers = Answers.of(prompts[:2], [[5, 6, 7, 8], [5, 6]])
    scrawled = replace(answers, tokens=torch.where(answers.real, answers.tokens, 200))
    traces = random_traces(prompts, 258)
    losses = []
    for batch in (answers, scrawled):
        stage = calibration._Stage(model, traces, CalibrationConfig(explore=0.0, whole=0.0))
        stage.batches = Fixed(batch)  # type: ignore[assignment]
        losses.append(stage.loss(0)[0].detach())
    assert torch.allclose(losses[0], losses[1], atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps and batch must be >= 1, got 0 and 32"),
        ({"batch": 0}, "got 500 and 0"),
        ({"label": "truth"}, "got 'truth' and 'student'"),
        ({"reference": "both"}, "got 'divergence' and 'both'"),
        ({"direction": "sideways"}, "direction must be 'reverse' or 'forward', got 'sideways'"),
        ({"kappa": 0.0}, "kappa must be > 0"),
        ({"kappa": float("nan")}, "kappa must be > 0"),
        ({"explore": 1.5}, r"explore and whole in \[0, 1\]"),
        ({"whole": -0.1}, r"explore and whole in \[0, 1\]"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CalibrationConfig(**wrong)
