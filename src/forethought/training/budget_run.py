"""The stages of learning to spend, from questions to saved policies; each goes on where it was killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from forethought.activations import TransformersEncoder
from forethought.artifacts import atomic_write, load_artifact
from forethought.core import DecodingPolicy, Question, Target, content_hash
from forethought.early_exit import Parts
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel, extend_vocabulary, load
from forethought.outcomes.graders import grader
from forethought.targets import LocalResponder
from forethought.training.base import Learner, Selection
from forethought.training.features import PrefillFeatures
from forethought.training.learners import FullWeights, LoraConfig, LowRank
from forethought.training.policy_optimisation import PolicyConfig, Practice, optimise
from forethought.training.saved import SavedPolicy, Trained
from forethought.training.supervised import SupervisedConfig, imitate
from forethought.training.trace_format import PHRASES, Decide, TraceFormat
from forethought.training.vote_traces import Sample, TraceRecipe, traces_to_imitate

WINDOW = 640
"""Of a small decoder once it votes: eight trials of 56 tokens, their tags, and the question in each."""
LAST = 10
"""Steps that the figures of a run are the mean of."""
SLICE = 64
"""Questions whose samples are kept at once."""


class Told(Protocol):
    """Called as work goes on."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Take note of progress."""


Shown = Callable[[str], AbstractContextManager[Told]]
"""A wait's name to something that shows how it goes."""


@dataclass(frozen=True)
class Imitation:
    """How a policy is begun.

    Attributes:
        samples: Plain answers a question.
        recipe: Traces made of them.
        training: How they are imitated.
        decide: Where the choice is made.
        restate: Whether every trial begins with the question.
        trained: `all` weights, or `adapters`.
    """

    samples: int
    recipe: TraceRecipe
    training: SupervisedConfig
    decide: Decide
    restate: bool
    trained: Trained


@dataclass(frozen=True)
class BudgetRun:
    """One stage's surroundings.

    Attributes:
        out: Folder of the new policy; work in progress lies beside it in `<out>.work`.
        parts: Questions.
        show: Shows waits.
        tell: Is told where a killed run goes on.
    """

    out: Path
    parts: Parts
    show: Shown
    tell: Callable[[str], None]

    @property
    def work(self) -> Path:
        """Where a killed run goes on from."""
        return self.out.with_name(f"{self.out.name}.work")

    def imitate(self, source: str, policy: DecodingPolicy, stage: Imitation) -> SavedPolicy:
        """Sample plain answers, make traces of them, imitate these, and save.

        Args:
            source: Model name or folder.
            policy: How it is sampled; `max_tokens` holds for a trial.
            stage: Settings.
        """
        plain = load(source)
        prompts, samples = self._sampled(plain, policy, stage.samples)
        base = traceable(plain)
        form = TraceFormat.of(base, stage.decide, restate=stage.restate)
        traces = traces_to_imitate(base, form, samples, prompts, stage.recipe)
        learner = begun(base, stage.trained, stage.recipe.seed)
        checkpoint = self.work / "imitation"
        steps = imitate(learner, traces, stage.training, checkpoint=checkpoint)
        last = self._through("imitate", steps, stage.training.steps, checkpoint)
        made = {"stage": "imitation", **asdict(stage), "figures": last}
        saved = SavedPolicy(
            source,
            stage.trained,
            stage.decide,
            stage.restate,
            policy,
            stage.recipe.rule,
            self.parts.describe(),
            (made,),
        )
        saved.save(self.out, learner)
        return saved

    def practise(
        self, begin: Path, saved: SavedPolicy, selection: Selection, config: PolicyConfig, *, probe: bool
    ) -> SavedPolicy:
        """Practise from a saved policy, and save.

        Args:
            begin: Its folder.
            saved: Its description.
            selection: What to learn from.
            config: Of the loop.
            probe: Whether the selection reads features of questions.
        """
        learner = saved.learner(begin)
        asked = list(self.parts.train)
        features = None
        if probe:
            features = PrefillFeatures(TransformersEncoder(saved.learner(begin).model), asked)
        practice = Practice(asked, saved.form(learner.model), saved.policy, saved.rule, features)
        checkpoint = self.work / "practice"
        steps = optimise(learner, practice, selection, config, checkpoint=checkpoint)
        last = self._through(selection.name, steps, config.steps, checkpoint)
        made = {"stage": "practice", "selection": dict(selection.settings), **asdict(config), "figures": last}
        new = replace(saved, questions=self.parts.describe(), made=(*saved.made, made))
        new.save(self.out, learner)
        return new

    def _through(
        self, name: str, steps: Iterator[Mapping[str, float]], total: int, checkpoint: Path
    ) -> dict[str, float]:
        """Take every step that is left, showing it; what the last ones of the whole run reported, on average."""
        begun = checkpoint.is_dir()
        with self.show(name) as told:
            for figures in steps:
                if begun:
                    self.tell(
                        f"goes on from step {figures['step']:.0f} of {total}, where a killed run was ({checkpoint})"
                    )
                    begun = False
                told(int(figures["step"]) + 1, total, _line(figures))
        last = load_artifact(checkpoint)[0]["history"][-LAST:]
        return {key: sum(row[key] for row in last) / len(last) for key in last[-1] if key != "step"}

    def _sampled(
        self, model: LanguageModel, policy: DecodingPolicy, count: int
    ) -> tuple[dict[str, Any], dict[Question, list[Sample]]]:
        """Prompts by question id, and plain samples; kept on disk slice by slice."""
        if policy.temperature == 0 and count > 1:
            raise ConfigError("temperature must be > 0: samples of a question would all be one")
        asked = list(self.parts.train)
        responder = LocalResponder(model, Target("plain", model.name, policy), batch_size=512)
        prompts = dict(zip([q.id for q in asked], responder.prompts(asked), strict=True))
        found: dict[Question, list[Sample]] = {}
        with self.show("sample") as told:
            for first in range(0, len(asked), SLICE):
                part = asked[first : first + SLICE]
                for question, texts in zip(part, self._texts(responder, part, count), strict=True):
                    judge = grader(question.grader)
                    found[question] = [Sample(text, judge.grade(question, text)) for text in texts]
                told(min(first + SLICE, len(asked)), len(asked))
        return prompts, found

    def _texts(self, responder: LocalResponder, part: Sequence[Question], count: int) -> list[list[str]]:
        key = content_hash(json.dumps([responder.fingerprint, asdict(responder.target.policy), count, _ids(part)]))[:16]
        shard = self.work / f"samples-{key}.json"
        if not shard.is_file():
            asked = [question for question in part for _ in range(count)]
            texts = [answer.text for answer in responder.respond(asked, [i % count for i in range(len(asked))])]
            with atomic_write(shard) as new:
                new.write_text(json.dumps([texts[i : i + count] for i in range(0, len(texts), count)]))
        try:
            kept: list[list[str]] = json.loads(shard.read_text())
        except ValueError as error:
            raise ArtifactError(f"{shard} cannot be read: {error}; delete it to sample anew") from error
        return kept


def traceable(model: LanguageModel) -> LanguageModel:
    """The model, with tokens for a trace's literal parts and room for one where it is a small decoder without."""
    unknown = model.tokenizer.unk_token_id
    written = model.tokenizer("".join(PHRASES), add_special_tokens=False, verbose=False)["input_ids"]
    if unknown is None or unknown not in written:
        return model
    return extend_vocabulary(model, PHRASES, context=max(WINDOW, model.context))


def begun(model: LanguageModel, trained: Trained, seed: int) -> Learner:
    """A learner that has learnt nothing yet."""
    return FullWeights(model) if trained == "all" else LowRank(model, LoraConfig(seed=seed))


def _ids(questions: Sequence[Question]) -> list[tuple[str, str]]:
    return [(question.id, question.text) for question in questions]


def _line(figures: Mapping[str, float]) -> str:
    shown = ("loss", "accuracy", "share", "trials", "tokens")
    return " ".join(f"{key} {figures[key]:.3g}" for key in shown if key in figures)
