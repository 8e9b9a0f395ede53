"""What a router learns from: questions, what each target did on them, and what the encoder saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forethought.core import Question, Target
from forethought.errors import DataError
from forethought.outcomes import folds as make_folds
from forethought.outcomes import split

if TYPE_CHECKING:
    from forethought.activations import ActivationStore
    from forethought.outcomes import Labels, Outcomes
    from forethought.router.config import FitConfig

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Dataset:
    """Questions in one order with everything recorded about them; arrays follow that order.

    Attributes:
        questions: The n questions.
        targets: The K targets.
        success: Labels in [0, 1], NaN where missing, shape (n, K).
        trials: Samples behind each label, shape (n, K).
        input_tokens: Recorded prompt tokens, NaN where missing, shape (n, K).
        output_tokens: Recorded answer tokens, NaN where missing, shape (n, K).
        encoder_tokens: Prompt length in the encoder, shape (n,).
        stores: Extracted activations.
    """

    questions: tuple[Question, ...]
    targets: tuple[Target, ...]
    success: NDArray[np.float64]
    trials: NDArray[np.float64]
    input_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    encoder_tokens: NDArray[np.float64]
    stores: tuple[ActivationStore, ...]

    @property
    def groups(self) -> NDArray[np.str_]:
        """Each question's group, shape (n,)."""
        return np.array([question.group for question in self.questions])

    @property
    def texts(self) -> list[str]:
        """Each question's last user turn."""
        return [question.text for question in self.questions]

    def take(self, rows: Rows) -> list[Question]:
        """The questions of some rows."""
        return [self.questions[row] for row in rows]


@dataclass(frozen=True)
class Parts:
    """The three parts of a data set, by connected component of text and entity.

    Attributes:
        train: Rows that heads, calibrators and the order of operating points are fitted on.
        certify: Rows used once, by the certificate.
        report: Rows used once, by the report.
        folds: Fold of each training row, in the order of `train`.
    """

    train: Rows
    certify: Rows
    report: Rows
    folds: Rows


def split_parts(data: Dataset, config: FitConfig) -> Parts:
    """Split as a config says; the same config always gives the same parts."""
    train, certify, report = split(data.questions, config.shares, seed=config.seed)
    return Parts(train, certify, report, make_folds(data.take(train), config.folds, seed=config.seed))


def read_labels(outcomes: Outcomes, question_ids: Sequence[str], targets: Sequence[str], config: FitConfig) -> Labels:
    """Turn outcomes into the labels that a config asks for."""
    from forethought.outcomes import greedy, majority, pass_at_k, success_rate

    match config.label:
        case "greedy":
            return greedy(outcomes, question_ids, targets)
        case "rate":
            return success_rate(outcomes, question_ids, targets)
        case "majority":
            return majority(outcomes, config.k, question_ids, targets)
        case "pass":
            return pass_at_k(outcomes, config.k, question_ids, targets)


def assemble(
    questions: Sequence[Question],
    outcomes: Outcomes,
    stores: Sequence[ActivationStore],
    config: FitConfig,
    known_targets: Mapping[str, Target] | None = None,
) -> Dataset:
    """Join questions, outcomes and activations on ids.

    Args:
        questions: In the order wanted; those without any activation are an error.
        outcomes: Recorded outcomes; questions without a row stay, with masked labels.
        stores: One per encoder; the first one's prompt lengths are used.
        config: Which targets and labels.
        known_targets: Full descriptions by name; a target without one is described by its name.

    Raises:
        DataError: An asked target has no outcomes, or no question has any label.
    """
    from forethought.outcomes import mean_tokens

    names = config.targets or tuple(outcomes.targets)
    if unknown := set(names) - set(outcomes.targets):
        raise DataError(f"no outcomes of target {sorted(unknown)[0]!r}; the table has {', '.join(outcomes.targets)}")
    ids = [question.id for question in questions]
    labels = read_labels(outcomes, ids, names, config)
    if np.isnan(labels.success).all():
        raise DataError(f"none of the {len(ids)} questions has a label for any of {', '.join(names)}")
    input_tokens, output_tokens = mean_tokens(outcomes, ids, names)
    known = known_targets or {}
    return Dataset(
        questions=tuple(questions),
        targets=tuple(known.get(name, Target(name, name)) for name in names),
        success=labels.success,
        trials=labels.trials,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        encoder_tokens=stores[0].lengths(ids).astype(float),
        stores=tuple(stores),
    )
