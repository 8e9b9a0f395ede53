"""The small decoder learns when to vote: every arm of every seed, kept on disk and resumed from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from forethought.activations import TransformersEncoder
from forethought.allocation import SmoothedMargins
from forethought.artifacts import atomic_write, load_artifact, save_artifact
from forethought.core import DecodingPolicy, Question, Target, content_hash
from forethought.errors import ConfigError
from forethought.models import DecoderSize, TrainingPlan, extend_vocabulary, load, train_small_decoder
from forethought.outcomes.graders import grader
from forethought.questions import arithmetic_questions
from forethought.targets import LocalResponder, Response
from forethought.training import (
    BestOfN,
    BudgetTable,
    ConstrainedPolicy,
    FullWeights,
    InferenceAware,
    PolicyConfig,
    Practice,
    PricedReward,
    RejectionSampling,
    Sample,
    Selection,
    Spending,
    SupervisedConfig,
    TraceFormat,
    TraceRecipe,
    TraceWriter,
    evaluate_budget,
    imitate,
    optimise,
    traces_to_imitate,
)
from forethought.training.features import PrefillFeatures
from forethought.training.trace_format import PHRASES
from forethought.voting import MajorityVote, Poll

SEEDS = (0, 1, 2)
SHARES = (0.25, 0.5, 0.75)
PRICES = (0.05, 0.15)
CONTEXT = 640
LONGEST = 56
"""Tokens of a trial: a question of five operations needs 52."""
NEAR = 20.0
"""Nats above the reference that CGPO's feasible set allows."""
CAP = 8
"""Most trials of a vote, and of a majority of plain answers."""
WAYS = ("free", "once", "vote")


@dataclass(frozen=True)
class Size:
    """How much of the study is run.

    Attributes:
        train: Questions to practise on.
        sampled: Of them, those whose plain samples traces are made of.
        samples: Plain samples a question.
        test: That report.
        plan: How the decoder is trained before all this: so that it is often wrong. None takes the committed one.
        temperature: Of every sample.
        recipe: Traces to imitate.
        imitation: How.
        practice: Every method's loop.
    """

    train: int = 20000
    sampled: int = 2000
    samples: int = 32
    test: int = 5000
    plan: TrainingPlan | None = field(default_factory=lambda: TrainingPlan(steps=2000, early=0.0))
    temperature: float = 1.0
    recipe: TraceRecipe = field(default_factory=lambda: TraceRecipe(votes=3000, distinct=(2, 12), orders=3))
    imitation: SupervisedConfig = field(default_factory=lambda: SupervisedConfig(steps=1000, batch=32, rate=1.5e-3))
    practice: PolicyConfig = field(default_factory=lambda: PolicyConfig(steps=80))

    @property
    def name(self) -> str:
        """Of the folder of these settings: another study never finds its arms."""
        return content_hash(json.dumps([asdict(self), LONGEST, NEAR, CONTEXT, "restated"], sort_keys=True))[:12]


FULL = Size()
QUICK = Size(
    train=40,
    sampled=30,
    samples=6,
    test=10,
    plan=None,
    temperature=2.0,
    recipe=TraceRecipe(votes=4, distinct=(2, 8)),
    imitation=SupervisedConfig(steps=4, batch=8),
    practice=PolicyConfig(steps=2, prompts=6, samples=4),
)


class Study:
    """One seed's arms; the base, its samples and both imitations are shared by all seeds.

    Args:
        folder: Where arms are kept; what is there is not computed again.
        size: How much.
        seed: Of practice and of every trace written.
        report: Told what is done.
    """

    def __init__(self, folder: Path, size: Size, seed: int, report: Callable[[str], None]) -> None:
        self.root = folder / size.name
        self.folder = self.root / f"seed-{seed}"
        self.size = size
        self.seed = seed
        self.report = report
        if size.plan is not None and not (self.root / "base").is_dir():
            train_small_decoder(self.root / "base", size=DecoderSize(context=CONTEXT), plan=size.plan)
        self.plain = load("arithmetic-small" if size.plan is None else self.root / "base")
        self.base = extend_vocabulary(self.plain, PHRASES, context=CONTEXT)
        self.form = TraceFormat.of(self.base, restate=True)
        self.policy = DecodingPolicy(max_tokens=LONGEST, temperature=size.temperature)
        self.train = arithmetic_questions("train", size.train, seed=0)
        self.test = arithmetic_questions("test", size.test, seed=2)
        self._features: PrefillFeatures | None = None

    def selections(self) -> Iterator[tuple[str, Callable[[], Selection]]]:
        """Name of each method and what makes it."""
        for share in SHARES:
            yield f"smoothed-{share:g}", lambda share=share: self._smoothed(share)
            yield f"raw-{share:g}", lambda share=share: InferenceAware(share)
        yield "rejection", RejectionSampling
        yield "best-of-n", BestOfN
        yield "cgpo", lambda: ConstrainedPolicy(NEAR)
        for price in PRICES:
            yield f"price-{price:g}", lambda price=price: PricedReward(price)

    def run(self, only: Sequence[str] | None = None) -> None:
        """Compute every arm that is missing, or those named."""
        self.plain_votes()
        self.tested("sv", lambda: self.imitated("sv", alpha=0.0))
        self.tested("asv", lambda: self.imitated("asv", alpha=1.0))
        for name, make in self.selections():
            if only is None or name in only:
                self.tested(name, lambda name=name, make=make: self.practised(name, make()))

    def plain_votes(self) -> dict[str, np.ndarray]:
        """The base's plain answers to test questions under majority votes: success and tokens by votes, (n, CAP)."""
        place = self.root / "plain.table"
        if not place.is_dir():
            asked = [question for question in self.test for _ in range(CAP)]
            answers = self._responder().respond(asked, [i % CAP for i in range(len(asked))])
            save_artifact(place, {"arm": "plain"}, _majorities(self.test, answers))
            self.report("plain answers: tested")
        return load_artifact(place)[1]

    def imitated(self, name: str, alpha: float) -> FullWeights:
        """After imitation: always voting, or with traces of both kinds."""
        learner = FullWeights(self.base)

        def train(checkpoint: Path) -> Iterator[dict[str, float]]:
            recipe = replace(self.size.recipe, alpha=alpha)
            prompts = {question.id: prompt for question, prompt in zip(self.sampled, self._prompts(), strict=True)}
            traces = traces_to_imitate(self.base, self.form, self.samples(), prompts, recipe)
            yield from imitate(learner, traces, self.size.imitation, checkpoint=checkpoint)

        return self._trained(self.root / name, learner, train)

    def practised(self, name: str, selection: Selection) -> FullWeights:
        """After practice, starting from the imitation of both kinds."""
        learner = self.imitated("asv", alpha=1.0)
        learner = FullWeights(learner.model)
        practice = Practice(self.train, self.form, self.policy, features=self.features)
        config = replace(self.size.practice, seed=self.seed)
        return self._trained(
            self.folder / name,
            learner,
            lambda checkpoint: optimise(learner, practice, selection, config, checkpoint=checkpoint),
        )

    @property
    def sampled(self) -> list[Question]:
        """Questions with plain samples."""
        return self.train[: self.size.sampled]

    def samples(self) -> dict[Question, list[Sample]]:
        """Plain samples of the base, by question; kept on disk."""
        file = self.root / "samples.json"
        if not file.is_file():
            asked = [question for question in self.sampled for _ in range(self.size.samples)]
            numbers = [i % self.size.samples for i in range(len(asked))]
            texts = [answer.text for answer in self._responder().respond(asked, numbers)]
            with atomic_write(file) as new:
                new.write_text(json.dumps(texts))
        texts, judge = json.loads(file.read_text()), grader("number")
        rows = np.array(texts, dtype=object).reshape(len(self.sampled), -1)
        return {
            question: [Sample(text, judge.grade(question, text)) for text in row]
            for question, row in zip(self.sampled, rows, strict=True)
        }

    def features(self, questions: Sequence[Question]) -> np.ndarray:
        """Activations of the base's prefill, read when first asked for."""
        if self._features is None:
            self._features = PrefillFeatures(TransformersEncoder(self.plain), self.train)
        return self._features(questions)

    def tested(self, name: str, make: Callable[[], FullWeights]) -> BudgetTable:
        """An arm's table on test questions."""
        place = self.folder / f"{name}.table"
        if not place.is_dir():
            writer = TraceWriter(make().model, self.form, self.policy, seed=self.seed)
            save_artifact(place, {"arm": name}, as_arrays(evaluate_budget(writer, self.test)))
            self.report(f"seed {self.seed} {name}: tested")
        return from_arrays(load_artifact(place)[1])

    def missing(self) -> FullWeights:
        """What `tested` is given where an arm is only read.

        Raises:
            ConfigError: It was not tested.
        """
        raise ConfigError(f"an arm in {self.folder} has no table")

    def history(self, name: str) -> list[dict[str, float]]:
        """What each update of an arm reported."""
        kept: list[dict[str, float]] = json.loads((self.folder / f"{name}.history.json").read_text())
        return kept

    def _smoothed(self, share: float) -> InferenceAware:
        return InferenceAware(share, margins="smoothed", smoother=SmoothedMargins(self.plain.width))

    def _trained(
        self, saved: Path, learner: FullWeights, train: Callable[[Path], Iterator[dict[str, float]]]
    ) -> FullWeights:
        if not saved.is_dir():
            checkpoint = saved.with_name(f"{saved.name}.checkpoint")
            for figures in train(checkpoint):
                if int(figures["step"]) % 10 == 0:
                    told = " ".join(f"{key} {value:.3g}" for key, value in figures.items())
                    self.report(f"seed {self.seed} {saved.name}: {told}")
            with atomic_write(saved.with_name(f"{saved.name}.history.json")) as new:
                new.write_text(json.dumps(load_artifact(checkpoint)[0]["history"]))
            learner.save(saved)
        return FullWeights(load(saved))

    def _responder(self) -> LocalResponder:
        return LocalResponder(self.plain, Target("plain", self.plain.name, self.policy), batch_size=512)

    def _prompts(self) -> list[Any]:
        return self._responder().prompts(self.sampled)


def _majorities(questions: Sequence[Question], answers: Sequence[Response]) -> dict[str, np.ndarray]:
    """Success and tokens of the most frequent of the first k answers, of equals the first, for k = 1..CAP."""
    judge = grader("number")
    success, tokens = np.zeros((len(questions), CAP)), np.zeros((len(questions), CAP))
    for row, question in enumerate(questions):
        poll = Poll(MajorityVote(CAP))
        grades = [judge.grade(question, answer.text) for answer in answers[row * CAP : (row + 1) * CAP]]
        for k, grade in enumerate(grades):
            poll.update(grade.answer)
            right = {known.answer: known.success for known in grades[: k + 1]}
            success[row, k] = right.get(poll.ballot.leader, 0.0) if poll.ballot.leader is not None else 0.0
        tokens[row] = np.cumsum([answer.output_tokens for answer in answers[row * CAP : (row + 1) * CAP]])
    return {"success": success, "tokens": tokens}


def as_arrays(table: BudgetTable) -> dict[str, np.ndarray]:
    """A table as arrays by name."""
    arrays = {"levels": table.levels}
    for way in WAYS:
        arrays |= {f"{way}.{name}": values for name, values in vars(getattr(table, way)).items()}
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray]) -> BudgetTable:
    """What `as_arrays` wrote."""
    names = ("success", "voted", "trials", "tokens")
    return BudgetTable(arrays["levels"], *(Spending(*(arrays[f"{way}.{name}"] for name in names)) for way in WAYS))
