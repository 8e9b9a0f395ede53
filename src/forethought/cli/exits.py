"""`forethought exits`: let a model stop before its last layer, and see what that spares and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from forethought.cli.console import console, notes, print_json, progress

if TYPE_CHECKING:
    from forethought.early_exit.calibration import CalibrationConfig
    from forethought.early_exit.certification import RiskBound
    from forethought.early_exit.model import ExitConfig, ExitModel
    from forethought.early_exit.reinforcement import ReinforcementConfig
    from forethought.early_exit.saved import SavedExits

DEFAULT_MODEL = "smollm2-135m-instruct"
_EXITS = 5
"""Exits where nobody says where, about: every fifth layer of 30, as the paper has them."""

_LONGEST = 128
"""Tokens of an answer, where nobody says."""

_DRAFTED = 0.5
"""Gate probability above which a draft is more likely accepted than not."""

app = App(name="exits", help="Let a model stop before its last layer: calibrate, reinforce, generate, evaluate.")


@dataclass(frozen=True)
class ModelFlags:
    """Which model, and what it is asked.

    Args:
        model: Catalogue name, folder, or `arithmetic-small`, the decoder that comes with the package.
        questions: Questions as JSON lines; by default the committed ones, for `arithmetic-small` arithmetic.
        limit: Only so many questions, drawn by the seed and spread over groups.
        system: System turn before each question, "" for none; by default what goes with the questions.
        max_tokens: Longest answer.
    """

    model: str = DEFAULT_MODEL
    questions: Path | None = None
    limit: int | None = None
    system: str | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class ExitFlags:
    """Where the exits are.

    Args:
        every: An exit before every so-many-th layer.
        layers: Exits before these layers, such as `--layers 12 15 18`.
        gate: `linear`, or the paper's `mlp`.
        gate_units: Hidden units of an `mlp` gate; 0 is the paper's twice the width.
        map_rank: Rank of the exits' maps towards the last layer; 0 for none.
        adapted: What LoRA adapts in each layer: `attention`, as the paper has it, or `all` its maps.
        adapter_rank: r of LoRA.
        adapter_alpha: Its scale times r.
    """

    every: int | None = None
    layers: Annotated[Sequence[int], Parameter(consume_multiple=True, negative=())] = ()
    gate: Literal["linear", "mlp"] = "linear"
    gate_units: int = 0
    map_rank: int = 0
    adapted: Literal["attention", "all"] = "attention"
    adapter_rank: int = 8
    adapter_alpha: float = 16.0

    def config(self, n_layers: int) -> ExitConfig:
        """Exits of a model of so many layers.

        Raises:
            ConfigError: Both flags, or no such layers.
        """
        from forethought.early_exit.model import ExitConfig, every
        from forethought.errors import ConfigError

        if self.layers and self.every is not None:
            raise ConfigError("--every and --layers both say where the exits are: name one of them")
        step = max(1, n_layers // (_EXITS + 1)) if self.every is None else self.every
        learned = {name: value for name, value in asdict(self).items() if name not in ("every", "layers")}
        return ExitConfig(tuple(self.layers) or every(step, n_layers), **learned)


@dataclass(frozen=True)
class TrainingFlags:
    """How exits are calibrated.

    Args:
        steps: Of Adam.
        batch: Answers a step.
        samples: Answers of the unmodified model to each question, to learn from.
        temperature: Of these answers, where there are several; a single one is greedy.
        label: What a gate learns while adapters are trained: `divergence` from full depth, or `agreement` with it.
        kappa: How fast what a gate learns falls with the divergence.
        explore: Share of tokens that leave at an exit drawn evenly.
        whole: Share of answers that are passed to full depth.
        adapter_rate: Learning rate of the adapters.
        head_rate: Learning rate of gates and maps.
    """

    steps: int = 500
    batch: int = 32
    samples: int = 4
    temperature: float = 0.7
    label: Literal["divergence", "agreement"] = "divergence"
    kappa: float = 1.0
    explore: float = 0.1
    whole: float = 0.25
    adapter_rate: float = 1e-3
    head_rate: float = 1e-3

    def config(self, seed: int) -> CalibrationConfig:
        """Settings of stage 1.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.calibration import CalibrationConfig
        from forethought.errors import ConfigError

        if self.samples < 1 or not self.temperature > 0:
            raise ConfigError(f"samples must be >= 1 and temperature > 0, got {self.samples} and {self.temperature:g}")
        taken = ("steps", "batch", "kappa", "label", "explore", "whole", "adapter_rate", "head_rate")
        return CalibrationConfig(**{name: getattr(self, name) for name in taken}, seed=seed)


@dataclass(frozen=True)
class BoundFlags:
    """What the threshold has to be shown to keep.

    Args:
        loss: `success` lost, `clipped` without counting gains, `consistency` of whole answers, or `edits` of tokens.
        tolerance: Mean loss that is allowed.
        delta: Probability with which the certificate may be wrong.
        half: Store in half precision.
    """

    loss: Literal["success", "clipped", "consistency", "edits"] = "success"
    tolerance: float = 0.02
    delta: float = 0.1
    half: Annotated[bool, Parameter(negative=())] = False

    def bound(self) -> RiskBound:
        """The bound.

        Raises:
            ConfigError: Outside (0, 1).
        """
        from forethought.early_exit.certification import RiskBound

        return RiskBound(self.loss, self.tolerance, self.delta)


@dataclass(frozen=True)
class RolloutFlags:
    """How exits are reinforced.

    Args:
        price: lambda, of a pass through all layers, in units of task reward.
        beta: Price of a nat of divergence from the unmodified model.
        steps: Of Adam.
        prompts: Questions a step.
        group: Answers a question.
        credit: `token` charges each pass its own depth; `sequence` is the paper's.
        adapter_rate: Learning rate of adapters and maps.
        gate_rate: Learning rate of the gates.
    """

    price: Annotated[float, Parameter(name="--lambda")] = 0.5
    beta: float = 0.05
    steps: int = 120
    prompts: int = 16
    group: int = 4
    credit: Literal["token", "sequence"] = "token"
    adapter_rate: float = 3e-4
    gate_rate: float = 1e-3

    def config(self, seed: int) -> ReinforcementConfig:
        """Settings of stage 2.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.reinforcement import ReinforcementConfig

        return ReinforcementConfig(**asdict(self), seed=seed)


@dataclass(frozen=True)
class AnswerFlags:
    """How one question is answered.

    Args:
        max_tokens: Longest answer; by default 128, or two thirds of a window that is too small for it.
        temperature: 0 is greedy.
        system: System turn, "" for none; by default that of the exits' questions.
        seed: Of the answer's random stream.
        speculate: Draft at most so many tokens below an exit, while its gate is sure, and check them above it: the
            unmodified model's greedy answer.
        compare: Let the unmodified model answer too.
    """

    max_tokens: int | None = None
    temperature: float = 0.0
    system: str | None = None
    seed: int = 0
    speculate: int | None = None
    compare: Annotated[bool, Parameter(negative=())] = False


@app.command
def calibrate(
    out: Path,
    *,
    asked: Annotated[ModelFlags, Parameter(name="*")] = ModelFlags(),
    where: Annotated[ExitFlags, Parameter(name="*")] = ExitFlags(),
    training: Annotated[TrainingFlags, Parameter(name="*")] = TrainingFlags(),
    kept: Annotated[BoundFlags, Parameter(name="*")] = BoundFlags(),
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Attach exits to a model, teach them what it says at full depth, and certify a threshold.

    Questions are dealt into three parts: to train, to certify, and for `forethought exits evaluate`. Work in
    progress lies in OUT.work, where a killed run goes on.

    Example: `forethought exits calibrate runs/exits --model arithmetic-small --every 1 --steps 300`

    Args:
        out: Folder of the exits.
        asked: The model and its questions.
        where: The exits.
        training: How to train.
        kept: What to certify.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.cli.exit_questions import Parts, Source
    from forethought.cli.exit_training import ExitRun
    from forethought.early_exit.model import ExitModel
    from forethought.models import load

    settings = training.config(seed)
    bound = kept.bound()
    source = Source.of(asked.model, asked.questions, asked.limit, seed)
    policy = source.policy(asked.system, asked.max_tokens)
    base = load(asked.model)
    model = ExitModel(base, where.config(base.n_layers), seed=seed)
    run = ExitRun(model, Parts.read(source), policy, bound, out, kept.half, seed)
    _told(out, run.calibrate(settings, training.samples, training.temperature), json=json)


@app.command
def reinforce(
    exits: Path,
    out: Path,
    *,
    rollouts: Annotated[RolloutFlags, Parameter(name="*")] = RolloutFlags(),
    kept: Annotated[BoundFlags, Parameter(name="*")] = BoundFlags(),
    model: str | None = None,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Reward right answers that stop early, starting from calibrated exits, and certify a threshold again.

    The questions are those that the exits were calibrated on. A killed run goes on.

    Example: `forethought exits reinforce runs/exits runs/reinforced --lambda 0.5 --steps 120`

    Args:
        exits: Folder to start from.
        out: Folder of the new exits.
        rollouts: How to train.
        kept: What to certify.
        model: The model, where it is elsewhere than the exits say.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.cli.exit_questions import Parts
    from forethought.cli.exit_training import ExitRun
    from forethought.early_exit.saved import SavedExits
    from forethought.errors import ArtifactError, ConfigError

    settings = rollouts.config(seed)
    bound = kept.bound()
    if out.resolve() == exits.resolve():
        raise ConfigError(f"{out} holds the exits to start from: name another folder, or a killed run could not go on")
    saved = SavedExits.read(exits)
    if "questions" not in saved.report:
        raise ArtifactError(f"{exits} does not say which questions its exits were made from")
    with_exits = _load(saved, model)
    parts = Parts.again(saved.report["questions"])
    run = ExitRun(with_exits, parts, saved.policy, bound, out, kept.half, seed)
    _told(out, run.reinforce(settings, saved), json=json)


@app.command
def generate(
    question: str,
    *,
    exits: Path | None = None,
    threshold: float | None = None,
    model: str | None = None,
    answer: Annotated[AnswerFlags, Parameter(name="*")] = AnswerFlags(),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Answer a question, each token in the colour of its depth; where there are no colours, with its layers behind it.

    Example: `forethought exits generate "What is the capital of France?" --threshold 0.8 --compare`

    Args:
        question: What to ask.
        exits: Folder of exits; by default the committed ones.
        threshold: Gate probability above which a token leaves, by default the certified one; with `--speculate`,
            above which drafting goes on, by default 0.5.
        model: The model, where it is elsewhere than the exits say.
        answer: How to answer.
        json: Print one JSON object.
    """
    import torch

    from forethought.cli.exit_answer import DepthColours, DepthWriter, speculative_summary, summary, write
    from forethought.core import DecodingPolicy, Question
    from forethought.early_exit.decoder import ExitDecoder
    from forethought.early_exit.free_running import unadapted
    from forethought.early_exit.rules import Never, Threshold, check_threshold
    from forethought.early_exit.task import Task

    torch.set_num_threads(1)  # passes of one token are so short that a second thread makes them slower
    if threshold is not None:
        check_threshold(threshold)
    saved = _saved(exits)
    system = saved.policy.system if answer.system is None else answer.system or None
    longest = _LONGEST if answer.max_tokens is None else answer.max_tokens
    policy = DecodingPolicy(system=system, temperature=answer.temperature, max_tokens=longest)
    asked = Question.ask(question)
    with_exits = _load(saved, model)
    if answer.max_tokens is None:
        policy = replace(policy, max_tokens=max(1, min(longest, with_exits.base.context * 2 // 3)))
    decoder = _decoder(with_exits, saved, policy, threshold, answer.speculate)
    task = Task(with_exits.base, policy, [asked], answer.seed)
    colours = DepthColours(with_exits.config.layers, with_exits.n_layers)
    found = write(task, decoder, DepthWriter(None if json else console, colours))
    record = {"question": question, "layers": with_exits.n_layers, **found.plain()}
    said = summary(found, with_exits.n_layers) if answer.speculate is None else speculative_summary(found)
    if isinstance(decoder, ExitDecoder) and isinstance(decoder.rule, Threshold):
        record["threshold"] = decoder.rule.threshold
        said += f", threshold {decoder.rule.threshold:g}"
    if answer.compare:
        whole = write(task, ExitDecoder(unadapted(with_exits), Never(), policy), DepthWriter(None, colours))
        same = whole.tokens == found.tokens
        record["unmodified"] = {**whole.plain(), "same": same}
        text = "the same text" if same else repr(whole.text)
        said += f"\nthe unmodified model: {whole.seconds:.2f} s (one run each), {text}"
    if json:
        print_json(record)
    else:
        console.print(said, soft_wrap=True, markup=False)


@app.command
def evaluate(
    exits: Path | None = None,
    *,
    questions: Path | None = None,
    limit: int | None = None,
    thresholds: Annotated[Sequence[float], Parameter(consume_multiple=True, negative=())] = (),
    html: Path | None = None,
    model: str | None = None,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Compare thresholds with full depth, static cuts and CALM's softmax gap, on questions that nothing was made from.

    Example: `forethought exits evaluate runs/exits --limit 200 --html exits.html`

    Args:
        exits: Folder of exits; by default the committed ones.
        questions: Other questions than the exits' own test part, as JSON lines.
        limit: Only so many, drawn by the seed and spread over groups.
        thresholds: Of the gates, beside the certified one.
        html: Page to write, with a heat map of answers.
        model: The model, where it is elsewhere than the exits say.
        seed: Of `limit` and the answers.
        json: Print one JSON object.
    """
    from forethought.cli.exit_table import THRESHOLDS, Contest, plain_evaluation, print_evaluation, write_page
    from forethought.early_exit.evaluation import evaluate as evaluate_rules
    from forethought.early_exit.rules import check_threshold
    from forethought.early_exit.task import Task

    for value in thresholds:
        check_threshold(value)
    saved = _saved(exits)
    asked, source = _test_part(saved, questions, limit, seed)
    with_exits = _load(saved, model)
    contest = Contest(
        with_exits,
        Task(with_exits.base, saved.policy, asked, seed),
        saved.report.get("threshold"),
        tuple(thresholds) or THRESHOLDS,
    )
    with progress("evaluate") as report:
        found = evaluate_rules(with_exits, contest.task, contest.rules, report=report)
    if html is not None:
        write_page(contest, found, html, source=source, shown=24)
    if json:
        print_json({"exits": str(saved.path), "source": source, "served": contest.served, **plain_evaluation(found)})
        return
    print_evaluation(found)
    if html is not None:
        notes.print(f"heat map in {html}", markup=False, soft_wrap=True)


def _told(out: Path, report: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({"exits": str(out), **report})
    else:
        print(f"exits in {out}: {report['certificate']['sentence']}")


def _saved(path: Path | None) -> SavedExits:
    from forethought.data import exits
    from forethought.early_exit.saved import SavedExits

    return SavedExits.read(exits() if path is None else path)


def _load(saved: SavedExits, model: str | None) -> ExitModel:
    """The model with its exits.

    Raises:
        ArtifactError: The exits are those of another model.
    """
    from forethought.early_exit.model import ExitModel
    from forethought.models import load

    return ExitModel.load(saved.path, load(model or saved.model))


def _decoder(model: ExitModel, saved: SavedExits, policy: Any, threshold: float | None, speculate: int | None) -> Any:
    """Who writes the answer.

    Raises:
        ConfigError: A threshold outside [0, 1], or a draft that cannot be.
    """
    from forethought.early_exit.confidences import GateConfidence
    from forethought.early_exit.decoder import ExitDecoder
    from forethought.early_exit.free_running import unadapted
    from forethought.early_exit.rules import Never, Threshold
    from forethought.early_exit.speculation import Drafting, SpeculativeDecoder

    gates = GateConfidence(model)
    if speculate is not None:
        sure = Threshold(gates, _DRAFTED if threshold is None else threshold)
        return SpeculativeDecoder(model, policy, Drafting(_drafting_layer(model), speculate, sure))
    chosen = saved.threshold if threshold is None else threshold
    if chosen is None:
        notes.print("no threshold could be certified: the unmodified model answers, at full depth", style="dim")
        return ExitDecoder(unadapted(model), Never(), policy)
    return ExitDecoder(model, Threshold(gates, chosen), policy)


def _drafting_layer(model: ExitModel) -> int:
    """The exit nearest to two thirds of the depth: shallower drafts are refused more often, deeper ones spare less."""
    return min(model.config.layers, key=lambda layer: abs(layer - 2 * model.n_layers / 3))


def _test_part(saved: SavedExits, questions: Path | None, limit: int | None, seed: int) -> tuple[list[Any], str]:
    """The questions to judge by, and where they come from.

    Raises:
        ArtifactError: The exits do not say what they were made from.
    """
    from forethought.cli.collect import spread
    from forethought.cli.exit_questions import Parts
    from forethought.errors import ArtifactError
    from forethought.questions import read_questions

    if questions is not None:
        return spread(read_questions(questions), limit, seed), str(questions)
    if "questions" not in saved.report:
        raise ArtifactError(f"{saved.path} does not say which questions its exits were made from: name --questions")
    parts = Parts.again(saved.report["questions"])
    return spread(list(parts.test), limit, seed), f"test part of {parts.source.name}"
