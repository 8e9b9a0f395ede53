"""The stopping probe: two heads on the target's own prefill, and the prior they set for each question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.artifacts import load_artifact, save_artifact
from forethought.core import Question
from forethought.errors import ArtifactError, DataError, FeatureError
from forethought.metrics import FloatArray, IntArray
from forethought.voting.answer_prior import AnswerPrior, Component
from forethought.voting.base import StoppingRule
from forethought.voting.bayes_vote import BayesVote
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.prior_fit import GatedPrior, fit_gated_prior
from forethought.voting.samples import Samples

if TYPE_CHECKING:
    from forethought.activations import TargetPrefill
    from forethought.probes import Scorer, TfidfFeatures
    from forethought.targets import LocalResponder

KIND = "stopping probe"
FOLDS = 5


def default_layers(depth: int) -> tuple[int, int]:
    """Three quarters up, where success is read best (22 of SmolLM2's 30), and the last."""
    return max(1, round(0.74 * depth)), depth


@dataclass(frozen=True, eq=False)
class StoppingProbe:
    """Forecasts a question's success rate and answer concentration, and gives it a rule.

    Success concerns the right answer, stopping the most frequent one, so two heads are read: s(q), how
    often an answer is right, and a(q), how often two answers agree, whose label needs no grades.

    Attributes:
        layers: States read.
        fingerprint: Of the responder it was fitted on; another's prefill is refused.
        scorer: Blocks -> (s, a), shape (n, 2).
        text: The TF-IDF block.
        gated: Forecasts -> prior.
        price: Success that another answer has to gain; None where no price was certified: the majority of
            `cap` answers is then drawn.
        cap: Most answers.
        certificate: What was proven of `price`, empty where nothing was.
    """

    layers: tuple[int, ...]
    fingerprint: str
    scorer: Scorer
    text: TfidfFeatures
    gated: GatedPrior
    price: float | None = 0.005
    cap: int = 16
    certificate: dict[str, Any] | None = None

    def forecasts(self, prefill: TargetPrefill, texts: Sequence[str]) -> FloatArray:
        """s(q) and a(q), shape (n, 2).

        Raises:
            FeatureError: A prefill of other layers.
        """
        if prefill.layers != self.layers:
            raise FeatureError(f"the probe reads layers {self.layers}, the prefill has {prefill.layers}")
        return np.asarray(self.scorer.predict_proba(_blocks(prefill, self.text, texts)))

    def rules(self, responder: LocalResponder, questions: Sequence[Question]) -> list[StoppingRule]:
        """The rule of each question, from one prefill that sampling needs anyway.

        Raises:
            FeatureError: Another model, prompt or set of solved examples than the probe was fitted on.
        """
        from forethought.activations import read_prefill

        if responder.fingerprint != self.fingerprint:
            raise FeatureError(
                f"the stopping probe was fitted on responder {self.fingerprint}, this is {responder.fingerprint}"
            )
        prefill = read_prefill(responder, questions, self.layers)
        forecasts = self.forecasts(prefill, [question.text for question in questions])
        return [self.rule(self.gated.prior(forecast)) for forecast in forecasts]

    def rule(self, prior: AnswerPrior) -> StoppingRule:
        """The rule under one prior, at the price that was certified."""
        return MajorityVote(self.cap) if self.price is None else BayesVote(prior, self.price, self.cap)

    def with_price(self, price: float | None, cap: int, certificate: dict[str, Any] | None = None) -> StoppingProbe:
        """The same probe at another price and cap."""
        return replace(self, price=price, cap=cap, certificate=certificate)

    def save(self, path: Path | str) -> str:
        """Write the probe as an artifact directory and return its hash."""
        scorer, arrays = self.scorer.state()
        vocabulary, text = self.text.state()
        manifest = {
            "kind": KIND,
            "layers": list(self.layers),
            "fingerprint": self.fingerprint,
            "scorer": scorer,
            "prior": asdict(self.gated.population),
            "price": self.price,
            "cap": self.cap,
            "certificate": self.certificate,
        }
        tensors = {
            **{f"scorer.{name}": array for name, array in arrays.items()},
            **{f"text.{name}": array for name, array in text.items()},
            "gate": self.gated.gate,
            "centre": self.gated.centre,
            "scale": self.gated.scale,
        }
        return save_artifact(Path(path), manifest, tensors, vocabulary=json.dumps(vocabulary, ensure_ascii=False))

    @classmethod
    def load(cls, path: Path | str) -> StoppingProbe:
        """Read a probe back.

        Raises:
            ArtifactError: Missing, altered, or of another kind.
        """
        from forethought.probes import TfidfFeatures, scorer_from_state

        manifest, tensors, _ = load_artifact(Path(path))
        if manifest.get("kind") != KIND:
            raise ArtifactError(f"{path} holds a {manifest.get('kind')!r}, not a {KIND!r}")

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}

        vocabulary = (Path(path) / "vocabulary.json").read_text(encoding="utf-8")
        prior = manifest["prior"]
        population = AnswerPrior(
            tuple(Component(*component) for component in prior["components"]), tuple(prior["weights"])
        )
        return cls(
            layers=tuple(manifest["layers"]),
            fingerprint=manifest["fingerprint"],
            scorer=scorer_from_state(manifest["scorer"], part("scorer.")),
            text=TfidfFeatures.from_state(json.loads(vocabulary), part("text.")),
            gated=GatedPrior(population, tensors["gate"], tensors["centre"], tensors["scale"]),
            price=manifest["price"],
            cap=manifest["cap"],
            certificate=manifest["certificate"],
        )


def fit_probe(
    samples: Samples, prefill: TargetPrefill, questions: Sequence[Question], *, fingerprint: str = "", seed: int = 0
) -> StoppingProbe:
    """Fit both heads, and the gate on their out-of-fold forecasts.

    Args:
        samples: Recorded answers, at least two a question.
        prefill: The target's prefill of the same questions.
        questions: The same questions; folds keep those that share an entity together.
        fingerprint: Of the responder.
        seed: Of the folds.

    Raises:
        DataError: Questions in another order than the samples.
    """
    from forethought.outcomes import folds as make_folds
    from forethought.probes import TfidfFeatures
    from forethought.router import FitConfig
    from forethought.router.heads import fit_head

    if tuple(question.id for question in questions) != samples.question_ids:
        raise DataError("samples and questions must hold the same ids in the same order")
    texts = [question.text for question in questions]
    text = TfidfFeatures().fit(texts)
    labels = np.stack([samples.success_rates(), samples.concentrations()], axis=1)
    folds = make_folds(questions, FOLDS, seed)
    trials = np.full(labels.shape, float(samples.drawn))
    head = fit_head(_blocks(prefill, text, texts), labels, trials, folds, FitConfig(head="stack"))
    gated = fit_gated_prior(samples, head.out_of_fold, folds)
    return StoppingProbe(prefill.layers, fingerprint, head.scorer, text, gated)


@dataclass(frozen=True, eq=False)
class FoldFit:
    """A probe that never saw its test rows.

    Attributes:
        train: Rows fitted on.
        test: Rows held out.
        gated: The prior and its gate.
        forecasts: s and a of the test rows, shape (len(test), 2).
    """

    train: IntArray
    test: IntArray
    gated: GatedPrior
    forecasts: FloatArray


def cross_fit(
    samples: Samples, prefill: TargetPrefill, questions: Sequence[Question], folds: IntArray, *, seed: int = 0
) -> list[FoldFit]:
    """Fit one probe a fold on the other folds' rows.

    Args:
        samples: Recorded answers of n questions.
        prefill: The target's prefill of them.
        questions: The questions.
        folds: Fold of each, shape (n,).
        seed: Of the inner folds.

    Raises:
        DataError: As in `fit_probe`.
    """
    fits = []
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        probe = fit_probe(
            samples.take(train), prefill.take(train), [questions[row] for row in train.tolist()], seed=seed
        )
        forecasts = probe.forecasts(prefill.take(test), [questions[row].text for row in test.tolist()])
        fits.append(FoldFit(train, test, probe.gated, forecasts))
    return fits


def _blocks(prefill: TargetPrefill, text: TfidfFeatures, texts: Sequence[str]) -> list[Any]:
    """One block a layer, then the next token's summary, then text."""
    states = [prefill.states[:, layer] for layer in range(len(prefill.layers))]
    return [*states, prefill.next_token, text.transform(texts)]
