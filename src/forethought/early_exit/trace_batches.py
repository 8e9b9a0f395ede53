"""Recorded answers in batches that waste little: of like length, and several of a question, which share its prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from forethought.early_exit.passage import Answers
from forethought.early_exit.traces import Trace

_SAMPLES = 4
"""Most answers of one question in a batch: they share the prompt's pass, but are alike."""
_POOL = 6
"""Batches that are drawn to choose one of like lengths from."""


class TraceBatches:
    """Draws batches.

    Args:
        traces: Recorded answers.
        size: Answers a batch.
    """

    def __init__(self, traces: Sequence[Trace], size: int) -> None:
        self.size = size
        self._questions: dict[int, list[Trace]] = {}
        for trace in traces:
            self._questions.setdefault(trace.question, []).append(trace)
        self._places = list(self._questions)

    def draw(self, generator: torch.Generator) -> Answers:
        """A batch; what is drawn depends on the generator alone."""
        pool: list[list[Trace]] = []
        for place in torch.randperm(len(self._places), generator=generator).tolist():
            beside = self._questions[self._places[place]]
            order = torch.randperm(len(beside), generator=generator).tolist()
            pool.append([beside[i] for i in order[:_SAMPLES]])
            if sum(map(len, pool)) >= _POOL * self.size:
                break
        pool.sort(key=lambda own: max(len(trace.tokens) for trace in own))
        cuts = self._cuts(pool)
        first = cuts[int(torch.randint(len(cuts), (1,), generator=generator))]
        chosen = [trace for own in pool[first:] for trace in own][: self.size]
        return Answers.of([trace.prompt for trace in chosen], [trace.tokens for trace in chosen])

    def _cuts(self, pool: Sequence[Sequence[Trace]]) -> list[int]:
        """Where batches of the pool begin, the last whole."""
        cuts, count = [0], 0
        for place, own in enumerate(pool):
            if count >= self.size:
                cuts.append(place)
                count = 0
            count += len(own)
        return cuts if count >= self.size or len(cuts) == 1 else cuts[:-1]
