"""The record, and curves of the fitted methods on questions that their fits never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rules import CAP, SAMPLES, SUCCESS, Array, Ints, Orders, families, tuned

from forethought.artifacts import load_artifact, save_artifact
from forethought.bench import Options
from forethought.core import Question, content_hash
from forethought.data import default_examples, default_questions, recorded_samples
from forethought.errors import DataError
from forethought.outcomes import Outcomes, components, folds
from forethought.questions import read_questions
from forethought.voting import Samples, broad_prior, fit_prior

if TYPE_CHECKING:
    from forethought.activations import TargetPrefill
    from forethought.voting.probe import FoldFit

FOLDS = 5
SEED = 0
QUICK = 300
MOST_LOST = 0.005
"""Success on training rows that the probe's own setting may lose against the vote of 16."""


@dataclass(frozen=True, eq=False)
class Record:
    """Recorded samples with their questions.

    Attributes:
        samples: Of n questions.
        questions: The same n.
        clusters: Components of equal text or entity, (n,).
        fold: Fold of each question, whole components, (n,).
    """

    samples: Samples
    questions: tuple[Question, ...]
    clusters: Ints
    fold: Ints

    @classmethod
    def of(cls, samples: Samples, questions: Sequence[Question]) -> Record:
        return cls(samples, tuple(questions), components(questions), folds(questions, FOLDS, SEED))


def read_record(options: Options) -> Record:
    """The committed samples, or as many questions as the quick form takes.

    Raises:
        DataError: Samples of a question that is not among the committed ones.
    """
    samples = Samples.read(Outcomes.read(recorded_samples()))
    if options.quick and len(samples) > QUICK:
        samples = samples.take(np.sort(np.random.default_rng(SEED).permutation(len(samples))[:QUICK]))
    known = {question.id: question for question in read_questions(default_questions())}
    if missing := [id for id in samples.question_ids if id not in known]:
        raise DataError(f"{recorded_samples().name} has samples of {missing[0]!r}, which is no question of ours")
    return Record.of(samples, [known[id] for id in samples.question_ids])


def forecast(record: Record, cache: Path) -> list[FoldFit]:
    """Gates and forecasts of every fold, by the probe on the answering model's own prefill."""
    from forethought.voting.probe import cross_fit

    return cross_fit(record.samples, _prefill(record, cache), record.questions, record.fold)


def _prefill(record: Record, cache: Path) -> TargetPrefill:
    """Read the prefills, or load those that were kept for the same questions, prompt and weights."""
    from forethought.activations import TargetPrefill, read_prefill
    from forethought.cli.collect import by_group
    from forethought.models import load
    from forethought.targets import LocalResponder
    from forethought.targets.pool import read_pool
    from forethought.voting.probe import default_layers

    pool = read_pool(recorded_samples().with_name("sampling.toml"))
    target = next(target for target in pool.targets if target.name == record.samples.target)
    examples = by_group(read_questions(default_examples()))
    responder = LocalResponder(load(target.model), target, examples=examples)
    layers = default_layers(responder.model.n_layers)
    key = content_hash(repr((responder.fingerprint, asdict(target), layers, [asdict(q) for q in record.questions])))
    folder = cache / f"prefill-{key[:16]}"
    if folder.is_dir():
        _, tensors, _ = load_artifact(folder)
        return TargetPrefill(layers, tensors["states"], tensors["next_token"])
    prefill = read_prefill(responder, record.questions, layers)
    tensors = {"states": prefill.states, "next_token": prefill.next_token}
    save_artifact(folder, {"kind": "prefill", "target": target.name}, tensors)
    return prefill


def curves(record: Record, fits: Sequence[FoldFit], orders: Orders) -> dict[str, Array]:
    """Every method's curve, (n, S, 4) each; see the README for what each was fitted on."""
    count_only = families(orders)
    settings = np.concatenate(list(count_only.values()), axis=1)
    rng = np.random.default_rng(SEED)

    def hardest(fit: FoldFit) -> Array:
        rates = record.samples.success_rates()[fit.train]
        rows = fit.train[np.argsort(rates, kind="stable")[: len(rates) // 2]]
        return orders.take(fit.test).bayes(fit_prior(record.samples.take(rows)))

    return {
        **count_only,
        "best": _held_out(fits, lambda fit: tuned(settings, fit.train, fit.test)),
        "default": _held_out(fits, lambda fit: orders.take(fit.test).bayes(fit.gated.population)),
        "probe": probe_curve(fits, orders),
        "shuffled_forecasts": _held_out(fits, lambda fit: _gated(fit, orders, rng.permutation(fit.forecasts))),
        "wrong_prior": _held_out(fits, hardest),
        "broad_prior": orders.bayes(broad_prior()),
    }


def probe_curve(fits: Sequence[FoldFit], orders: Orders) -> Array:
    """Of the probe alone, (n, S, 4)."""
    return _held_out(fits, lambda fit: _gated(fit, orders, fit.forecasts))


def _gated(fit: FoldFit, orders: Orders, forecasts: Array) -> Array:
    return orders.take(fit.test).bayes(fit.gated.population, fit.gated.weights(forecasts))


def _held_out(fits: Sequence[FoldFit], play: Callable[[FoldFit], Array]) -> Array:
    """Each fold's test rows as played under its own fit."""
    parts = [play(fit) for fit in fits]
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]))
    for fit, part in zip(fits, parts, strict=True):
        whole[fit.test] = part
    return whole


def chosen_setting(probe: Array, majority: Array, fits: Sequence[FoldFit]) -> Array:
    """The probe at the setting that draws least on each fold's training rows and loses at most `MOST_LOST`, (n, 4).

    Training rows are replayed under their own folds' gates. Where every setting loses more, the one that loses least.
    """
    values = np.empty(majority[:, CAP - 1].shape)
    for fit in fits:
        mean = probe[fit.train].mean(axis=0)
        lost = majority[fit.train, CAP - 1, SUCCESS].mean() - mean[:, SUCCESS]
        allowed = lost <= max(MOST_LOST, lost.min())
        values[fit.test] = probe[fit.test, np.where(allowed, mean[:, SAMPLES], np.inf).argmin()]
    return values


def out_of_fold(fits: Sequence[FoldFit]) -> Array:
    """Forecasts of success rate and concentration of every question, (n, 2)."""
    forecasts = np.empty((sum(len(fit.test) for fit in fits), 2))
    for fit in fits:
        forecasts[fit.test] = fit.forecasts
    return forecasts
