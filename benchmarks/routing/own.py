"""The project's own committed table: five targets on short questions, for runs without recorded tables."""

from __future__ import annotations

import numpy as np
from tables import Table

from forethought.data import default_pool, default_questions, recorded_outcomes
from forethought.outcomes import Outcomes, costs, greedy
from forethought.questions import read_questions
from forethought.targets.pool import read_pool


def own_table() -> Table:
    """The questions that all five targets answered, at the pool's prices."""
    questions, pool, outcomes = read_questions(default_questions()), read_pool(default_pool()), read()
    targets, ids = [target.name for target in pool.targets], [question.id for question in questions]
    success = greedy(outcomes, ids, targets).success
    spent = costs(outcomes, pool.prices, ids, targets)
    rows = np.flatnonzero(~np.isnan(success).any(axis=1) & ~np.isnan(spent).any(axis=1))
    return Table(
        "own-5",
        [questions[row] for row in rows],
        tuple(targets),
        success[rows],
        spent[rows],
        "the committed pool's illustrative prices",
    )


def read() -> Outcomes:
    return Outcomes.read(recorded_outcomes())
