"""The committed exits of SmolLM2-135M on questions of the main job that they never saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forethought.artifacts import atomic_write
from forethought.bench import Figure
from forethought.core import DecodingPolicy
from forethought.data import exits
from forethought.early_exit import (
    Drafting,
    ExitDecoder,
    ExitModel,
    ExitRule,
    FreeRun,
    GateConfidence,
    Meter,
    Never,
    Parts,
    SavedExits,
    SpeculativeDecoder,
    Task,
    Threshold,
    answer_cost,
    evaluate,
    free_run,
    time_rules,
    unadapted,
)
from forethought.early_exit.evaluation import ADAPTED
from forethought.metrics import Interval, paired_bootstrap
from forethought.models import load
from forethought.outcomes import components

MEANS = (
    "macs_saved",
    "accuracy",
    "accuracy_unmodified",
    "accuracy_loss",
    "mean_depth",
    "macs_saved_on_answers",
    "macs_saved_with_prompts",
    "exact_match",
)
EVERY = 4
"""One question in so many is also read along the unmodified model's answer."""
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
        """The rule that is served; where none is certified, a threshold that was chosen, else full depth."""
        served = self.saved.threshold
        return Threshold(GateConfidence(self.model), self.saved.report.get("chosen", 1.0) if served is None else served)

    def figures(self) -> dict[str, Figure]:
        """Everything; each part is computed once an artifact."""
        parts = {"quality": self._quality, "time": self._time, "speculation": self._speculation}
        return {name: figure for part, compute in parts.items() for name, figure in self.kept(part, compute).items()}

    def kept(self, part: str, compute: Callable[[], dict[str, Figure]]) -> dict[str, Figure]:
        """One part's figures, from disk where they were computed before."""
        kept = self.folder / f"{part}-{self.saved.hash[:12]}-{len(self.task.questions)}.json"
        if not kept.is_file():
            figures = {name: asdict(figure) for name, figure in compute().items()}
            with atomic_write(kept) as new:
                new.write_text(json.dumps(figures))
        return {name: Figure(**figure) for name, figure in json.loads(kept.read_text()).items()}

    def _quality(self) -> dict[str, Figure]:
        """What is saved and what it costs, free-running, against the unmodified model."""
        task, model = self.task, self.model
        runs = [free_run(unadapted(model), Never(), task), free_run(model, self.rule, task)]
        success = [[task.success(i, answer.tokens) for i, answer in enumerate(run.answers)] for run in runs]
        costs = [_costs(model, rule, run) for rule, run in zip((Never(), self.rule), runs, strict=True)]
        exact = [one.tokens == other.tokens for one, other in zip(runs[0].answers, runs[1].answers, strict=True)]
        prompts = [_prompt_macs(model, len(prompt.ids)) for prompt in runs[0].prompts]
        tables = np.array([*success, *costs[0].T, *costs[1].T, exact, prompts], dtype=float)
        n = len(task.questions)
        found = paired_bootstrap(
            lambda rows: _means(tables[:, rows]), n, clusters=components(task.questions), draws=2000, seed=0
        )
        assert isinstance(found, list), "the statistic is an array"
        named = dict(zip(MEANS, (_figure(interval, n) for interval in found), strict=True))
        loss = named["accuracy_loss"]
        return {
            "smollm2_macs_saved": named.pop("macs_saved").at_least(0.10),
            "smollm2_accuracy_loss_high": Figure(loss.high or 0.0, loss.low, loss.high, n).at_most(0.02),
            **{f"smollm2_{name}": figure for name, figure in named.items()},
            **self._along(task.part(range(0, n, EVERY))),
        }

    def _along(self, task: Task) -> dict[str, Figure]:
        """Figures along the unmodified model's own answers, which need every exit's readout: on fewer questions."""
        found = evaluate(self.model, task, {"exits": self.rule})
        n = len(found.questions)
        ours = found.rules["exits"].summary
        agreement = {f"agreement_layer_{layer}": _figure(value, n) for layer, value in found.agreement_by_exit.items()}
        return {
            "smollm2_agreement": _figure(ours.agreement, n),
            "smollm2_divergence": _figure(ours.divergence, n),
            "smollm2_accuracy_loss_adapted_full": _figure(found.rules[ADAPTED].summary.accuracy_loss, n),
            **agreement,
            "smollm2_oracle_depth": Figure(found.oracle.mean_depth, n=len(found.oracle.depths)),
        }

    def _time(self) -> dict[str, Figure]:
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

    def _speculation(self) -> dict[str, Figure]:
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


def _costs(model: ExitModel, rule: ExitRule, run: FreeRun) -> NDArray[np.float64]:
    """Passes, layers, MACs and MACs at full depth of every answer, (n, 4)."""
    pairs = zip(run.prompts, run.answers, strict=True)
    return np.array([answer_cost(model, rule, len(prompt.ids), answer.depths) for prompt, answer in pairs], dtype=float)


def _prompt_macs(model: ExitModel, length: int) -> int:
    meter = Meter()
    meter.prompt(model.teacher, length)
    return meter.prompt_macs


def _means(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of `MEANS` for some questions, from their sums."""
    whole, ours, _, _, spent, _, passes, layers, macs, full_macs, exact, prompts = tables.sum(axis=1)
    n = tables.shape[1]
    saved = full_macs - macs
    return np.array([
        saved / full_macs, ours / n, whole / n, (whole - ours) / n, layers / passes,
        1 - macs / spent, saved / (full_macs + prompts), exact / n,
    ])  # fmt: skip


def _figure(found: Interval | Any, n: int) -> Figure:
    return Figure(found.value, found.low, found.high, n)
