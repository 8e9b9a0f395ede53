"""The committed exits of SmolLM2-135M on questions of the main job that they never saw."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from forethought.artifacts import atomic_write
from forethought.bench import Figure
from forethought.cli.exit_questions import Parts
from forethought.core import DecodingPolicy
from forethought.data import exits
from forethought.early_exit import (
    Drafting,
    Evaluation,
    ExitDecoder,
    ExitModel,
    ExitRule,
    GateConfidence,
    Never,
    SavedExits,
    SpeculativeDecoder,
    Task,
    Threshold,
    evaluate,
    time_rules,
    unadapted,
)
from forethought.metrics import Interval
from forethought.models import load

SPECULATED = 200
"""Prompts of the check that speculative decoding changes no token."""


class Committed:
    """The artifact of the wheel with its chosen threshold.

    Args:
        folder: Where what takes long is kept, by the artifact's hash.
        quick: A few questions only.
    """

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.saved = SavedExits.read(exits())
        self.model = ExitModel.load(exits(), load(self.saved.model))
        self.quick = quick
        questions = Parts.again(self.saved.report["questions"]).test
        self.task = Task(self.model.base, self.saved.policy, questions[:24] if quick else questions)

    @property
    def rule(self) -> ExitRule:
        """The rule that is served; where none is certified, the threshold chosen on validation questions."""
        served = self.saved.threshold
        return Threshold(GateConfidence(self.model), self.saved.report["chosen"] if served is None else served)

    def figures(self) -> dict[str, Figure]:
        """Everything."""
        return {**self.quality(), **self.time(), **self.speculation()}

    def quality(self) -> dict[str, Figure]:
        """What is saved and what it costs, free-running, against the unmodified model; computed once an artifact."""
        kept = self.folder / f"quality-{self.saved.hash[:12]}-{len(self.task.questions)}.json"
        if not kept.is_file():
            figures = {name: asdict(figure) for name, figure in self._quality().items()}
            with atomic_write(kept) as new:
                new.write_text(json.dumps(figures))
        return {name: Figure(**figure) for name, figure in json.loads(kept.read_text()).items()}

    def _quality(self) -> dict[str, Figure]:
        found = evaluate(self.model, self.task, {"exits": self.rule})
        ours = found.rules["exits"].summary
        n = len(found.questions)
        loss = ours.accuracy_loss
        return {
            "smollm2_macs_saved": _figure(ours.macs_saved, n).at_least(0.10),
            "smollm2_accuracy_loss_high": Figure(loss.high, loss.low, loss.high, n).at_most(0.02),
            "smollm2_agreement": _figure(ours.agreement, n),
            "smollm2_accuracy": _figure(ours.accuracy, n),
            "smollm2_accuracy_loss": _figure(loss, n),
            "smollm2_accuracy_adapted_full": _figure(found.rules["full depth, adapted"].summary.accuracy, n),
            "smollm2_accuracy_unmodified": _figure(found.rules["unmodified"].summary.accuracy, n),
            "smollm2_mean_depth": _figure(ours.mean_depth, n),
            "smollm2_macs_saved_on_answers": _figure(ours.macs_saved_on_answers, n),
            "smollm2_macs_saved_with_prompts": _figure(ours.macs_saved_with_prompts, n),
            "smollm2_exact_match": _figure(ours.exact_match, n),
            "smollm2_divergence": _figure(ours.divergence, n),
            **_by_exit(found, n),
        }

    def time(self) -> dict[str, Figure]:
        """Share of the time that is saved over the share that multiply-accumulates imply."""
        prompts = self.task.prompts()
        rounds, count = (1, 2) if self.quick else (9, 8)
        one = time_rules(self.model, prompts[:count], {"exits": self.rule}, rounds=rounds).rules["exits"]
        many = time_rules(self.model, prompts[: 4 * count], {"exits": self.rule}, batch_size=8, rounds=rounds).rules[
            "exits"
        ]
        return {
            "wall_over_theory_b1": _figure(one.over_theory, rounds).at_least(0.8),
            "wall_over_theory_b8": _figure(many.over_theory, rounds).at_least(0.8),
            "time_saved_b1": _figure(one.time_saved, rounds),
            "time_saved_b8": _figure(many.time_saved, rounds),
            "macs_saved_rows_b8": Figure(many.implied.rows),
            "macs_saved_steps_b8": Figure(many.implied.steps),
        }

    def speculation(self) -> dict[str, Figure]:
        """Greedy answers that differ from plain decoding's, and what drafts save."""
        prompts = self.task.prompts()[:SPECULATED]
        policy: DecodingPolicy = replace(self.task.policy, temperature=0.0)
        keys = [self.task.key(i, 0) for i in range(len(prompts))]
        rows = range(len(prompts))
        plain = ExitDecoder(unadapted(self.model), Never(), policy).generate(prompts, rows, keys)
        drafting = Drafting(self.model.config.layers[-1], 3)
        decoder = SpeculativeDecoder(self.model, policy, drafting)
        drafted = decoder.generate(prompts, rows, keys)
        differ = sum(one.tokens != other.tokens for one, other in zip(plain, drafted, strict=True))
        return {
            "speculation_differs": Figure(float(differ), n=len(prompts)).at_most(0),
            "speculation_acceptance": Figure(decoder.meter.acceptance, n=decoder.meter.drafted),
        }


def _by_exit(found: Evaluation, n: int) -> dict[str, Figure]:
    oracle = found.oracle
    agreement = {f"agreement_layer_{layer}": _figure(value, n) for layer, value in found.agreement_by_exit.items()}
    return {**agreement, "oracle_depth": Figure(oracle.mean_depth, n=len(oracle.depths))}


def _figure(found: Interval | Any, n: int) -> Figure:
    return Figure(found.value, found.low, found.high, n)
