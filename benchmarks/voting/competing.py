"""Three to six answers that compete: drawn, not recorded, so that what is true of them is known."""

from __future__ import annotations

import numpy as np
from figures import Bootstrap, equal_accuracy
from rules import CAP, Orders, families, tuned

from forethought.bench import Figure
from forethought.voting import Samples, fit_prior

QUESTIONS = 4000
QUICK = 400
RIGHT, WRONG = 2.0, 1.0
"""Dirichlet parameters: the right answer is expected twice as often as any other."""


def competing(answers: int, quick: bool, draws: int) -> Figure:
    """`default_over_best` where both are fitted on one half of the questions and met on the other."""
    samples = drawn_samples(answers, QUICK if quick else QUESTIONS)
    half = len(samples) // 2
    train, test = np.arange(half), np.arange(half, len(samples))
    orders = Orders.of(samples, 1)
    family = families(orders)
    curves = {
        "mv": family["mv"][test],
        "best": tuned(np.concatenate(list(family.values()), axis=1), train, test),
        "default": orders.take(test).bayes(fit_prior(samples.take(train))),
    }
    pairs = {"default_over_best": ("default", "best")}
    return equal_accuracy(curves, pairs, Bootstrap(test, draws))["default_over_best"]


def drawn_samples(answers: int, questions: int) -> Samples:
    """`CAP` independent answers a question, whose shares are Dirichlet(2, 1, ..., 1), the right answer's first."""
    rng = np.random.default_rng(answers)
    shares = rng.dirichlet([RIGHT] + [WRONG] * (answers - 1), size=questions)
    drawn = (rng.random((questions, CAP, 1)) > shares.cumsum(axis=1)[:, np.newaxis, :-1]).sum(axis=2)
    return Samples(
        question_ids=tuple(map(str, range(questions))),
        target=f"{answers} answers",
        answers=drawn.astype(str).astype(object),
        success=(drawn == 0).astype(np.float64),
        input_tokens=np.zeros(questions),
        output_tokens=np.ones(drawn.shape),
    )
