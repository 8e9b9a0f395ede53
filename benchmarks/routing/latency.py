"""What a decision takes: the head and the choice in microseconds, the prefill before it in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from crossfit import View
from extract import LAYERS
from features import MIDDLE
from ours import Ours

from forethought.activations import TransformersEncoder
from forethought.allocation import Argmax
from forethought.core import Question
from forethought.errors import ConfigError
from forethought.models import load
from forethought.probes import AveragedHead

ROWS = 400
ROUNDS = 200
PREFILLS = 25


def decision_microseconds(view: View, contender: Ours) -> list[float]:
    """CPU time of scoring one question's stored activations and choosing, one value a round."""
    rows = np.arange(min(ROWS, len(view.table)))
    blocks = [block[rows] for block in contender.blocks(view)]
    scorer = AveragedHead().fit(blocks, view.table.success[rows], rows % 3).scorer()
    cost = np.zeros((1, len(view.table.targets)))
    one = [[block[row : row + 1] for block in blocks] for row in range(20)]
    argmax = Argmax()

    def decide(round_: int) -> None:
        argmax.choose(scorer.predict_proba(one[round_ % len(one)]), cost)

    return [1e6 * seconds for seconds in _timed(decide, ROUNDS)]


def prefill_milliseconds(encoder: str, questions: Sequence[Question]) -> list[float] | None:
    """CPU time of reading one question as deep as the head does; None where the weights are not installed."""
    try:
        decoder = TransformersEncoder(load(encoder, dtype="bfloat16"))
    except ConfigError:
        return None
    layers = LAYERS[encoder][MIDDLE]

    def read(round_: int) -> None:
        decoder.encode([questions[round_ % len(questions)]], layers=layers, readouts=("mean", "last"))

    return [1e3 * seconds for seconds in _timed(read, PREFILLS)]


def _timed(job: Callable[[int], None], rounds: int) -> list[float]:
    job(0)
    found = []
    for round_ in range(rounds):
        start = time.process_time()
        job(round_)
        found.append(time.process_time() - start)
    return found
