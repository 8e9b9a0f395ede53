"""What a decision costs: features to Decision over 64 targets, and a whole decision over its bare prefill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from synthetic import BLOCKS, WIDTH, linear_scorer, router, trunk_scorer

from forethought.activations import TransformersEncoder
from forethought.bench import Figure, Options, script
from forethought.core import Question
from forethought.data import default_questions
from forethought.models import load
from forethought.questions import read_questions
from forethought.router import Router

SEED = 0
ENCODER = "smollm2-135m-instruct"
LAYER = 23


def measure(options: Options) -> dict[str, Figure]:
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    calls = 200 if options.quick else 2000
    rounds = 3 if options.quick else 7
    linear, trunk = router(linear_scorer(rng)), router(trunk_scorer(rng))
    times = decision_times([linear, trunk], rng, calls, rounds)
    return {
        "decide_us_p50": summary(times[0]).at_most(50),
        "decide_trunk_us_p50": summary(times[1]).at_most(500),
        "decision_over_prefill": over_prefill(12 if options.quick else 100, rounds).at_most(1.15),
    }


def decision_times(routers: list[Router], rng: np.random.Generator, calls: int, rounds: int) -> np.ndarray:
    """Microseconds of CPU of single decisions on fresh features, (routers, rounds, calls), rounds interleaved."""
    inputs = [[rng.normal(size=(1, WIDTH)).astype(np.float32) for _ in range(BLOCKS)] for _ in range(calls)]
    times = np.empty((len(routers), rounds, calls))
    for routed in routers:  # the first calls import and warm caches
        [routed.decide(blocks, 64.0) for blocks in inputs[:20]]
    for r in range(rounds):
        for i, routed in enumerate(routers):
            for j, blocks in enumerate(inputs):
                start = time.thread_time_ns()
                routed.decide(blocks, 64.0)
                times[i, r, j] = (time.thread_time_ns() - start) / 1e3
    return times


def summary(times: np.ndarray) -> Figure:
    """Median over all calls, with the least and the largest round's median."""
    medians = np.median(times, axis=1)
    return Figure(float(np.median(times)), float(medians.min()), float(medians.max()), times.size)


def over_prefill(count: int, rounds: int) -> Figure:
    """CPU time of whole decisions over that of the same blocks run bare on the same tokens.

    Each round takes every question once both ways, in turn first, and divides the medians; the
    value is the median round.
    """
    encoder = TransformersEncoder(load(ENCODER))
    routed = router(linear_scorer(np.random.default_rng(SEED)), encoder, LAYER)
    questions = evenly(read_questions(default_questions()), count)
    bare = BareForward(encoder)
    ratios, pairs = np.empty(rounds), np.empty((2, count))
    for r in range(-1, rounds):  # round -1 warms up
        for j, question in enumerate(questions):
            ids = encoder.model.render(question.messages, limit=encoder.window)
            jobs = (partial(routed.route, question), partial(bare, ids))
            for i in (0, 1) if (r + j) % 2 else (1, 0):
                pairs[i, j] = cpu_seconds(jobs[i])
        if r >= 0:
            whole, prefill = np.median(pairs, axis=1)
            ratios[r] = whole / prefill
    return Figure(float(np.median(ratios)), float(ratios.min()), float(ratios.max()), rounds * count)


class BareForward:
    """The encoder's blocks up to a layer by torch alone: no tokenizer, no hooks, no pooling, no head."""

    def __init__(self, encoder: TransformersEncoder) -> None:
        model = encoder.model.model.get_decoder()
        self.model = type(model)(model.config).eval()
        self.model.load_state_dict(model.state_dict())
        self.model.layers = self.model.layers[:LAYER]
        self.model.norm = torch.nn.Identity()

    @torch.inference_mode()
    def __call__(self, ids: list[int]) -> torch.Tensor:
        output = self.model(input_ids=torch.tensor([ids]), use_cache=False)
        return output.last_hidden_state


def cpu_seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def evenly(questions: list[Question], count: int) -> list[Question]:
    """Questions spread over the whole file, so over all families."""
    return [questions[i] for i in np.linspace(0, len(questions) - 1, count).astype(int)]


if __name__ == "__main__":
    sys.exit(script("decision", measure, seed=SEED))
