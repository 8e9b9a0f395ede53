"""Replay recorded answers through published packages, in their own environment: `run_published.py IN OUT`.

IN is `{question: [answer, ...]}`, in the order in which answers are to come, an unreadable one null. OUT is
`{rule: [[answer, counted, charged], ...]}`, one a question: what the rule returned, the answers that it decided on, and
the requests that had been sent when the last of them came. Each package's own code counts, stops and answers; only the
language model is a stand-in.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adaptive_consistency import (
    AC,
    BetaStoppingCriteria,
    EntropyStoppingCriteria,
    MajorityStoppingCriteria,
)
from its_hub import AbstractLanguageModel, AdaptiveSelfConsistency, BetaSelfConsistency

Replay = tuple[str, int, int]

SEED = 0
TICKS = 12
"""Turns of the event loop between two answers: a package needs about six to take one in and decide."""


class Recorded(AbstractLanguageModel):
    """Answers each request with the next recorded answer; answers arrive one at a time, in order.

    Args:
        answers: In order.
        limit: Most requests in flight; no answer comes before all are sent that can be, as with a model far slower
            than the loop.
    """

    def __init__(self, answers: Sequence[str], limit: int) -> None:
        self.charged = 0
        """Requests sent when the latest answer came."""
        self._sent = 0
        self._answers = answers
        self._limit = limit
        self._arrived = [asyncio.Event() for _ in answers]

    async def agenerate(self, messages: list[Any], stop: str | None = None, **kwargs: Any) -> list[dict[str, str]]:
        return [await self.agenerate_single(one, stop, **kwargs) for one in messages]

    async def agenerate_single(self, messages: list[Any], stop: str | None = None, **_: Any) -> dict[str, str]:
        place, self._sent = self._sent, self._sent + 1
        await self._arrived[place].wait()
        return {"role": "assistant", "content": self._answers[place]}

    async def answer(self) -> None:
        """Let the answers arrive."""
        for place, arrived in enumerate(self._arrived):
            while self._sent < min(place + self._limit, len(self._answers)):
                await asyncio.sleep(0)
            for _ in range(TICKS):
                await asyncio.sleep(0)
            self.charged = self._sent
            arrived.set()


def beta_self_consistency(answers: Sequence[str]) -> Replay:
    """its-hub's Beta rule, which sends all requests at once, 32 in flight, and cancels what it no longer needs."""
    # A new one a question: an early stop leaks places of its semaphore, so that a used one comes to hang.
    rule = BetaSelfConsistency(confidence_threshold=0.95)
    return asyncio.run(_inferred(rule, answers, rule.orchestrator.max_concurrency))


def adaptive_self_consistency(answers: Sequence[str]) -> Replay:
    """its-hub's rounds of 2, 2, 4, 8 ... answers until three quarters agree; each round is waited for."""
    return asyncio.run(_inferred(AdaptiveSelfConsistency(threshold=0.75), answers, 1))


async def _inferred(rule: Any, answers: Sequence[str], limit: int) -> Replay:
    # The package waits for places in threads; with one, requests are sent in the order in which they were made.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    model = Recorded(answers, limit)
    answering = asyncio.create_task(model.answer())
    result = await rule.ainfer(model, "question", budget=len(answers), return_response_only=False)
    answering.cancel()
    counted = len(result.responses)
    return result.the_one["content"], counted, max(counted, model.charged)


def criterion(make: Callable[[], Any]) -> Callable[[Sequence[str]], Replay]:
    """A stopping criterion of AdaptiveConsistency, asked after each answer.

    Its `eval_loop` calls a method that does not exist (`is_consistent`), so the loop is the README's other one.
    """

    def replay(answers: Sequence[str]) -> Replay:
        rule = AC(max_gens=len(answers), stop_criteria=make())
        for drawn in range(1, len(answers) + 1):
            verdict = rule.should_stop(list(answers[:drawn]), return_dict=True)
            if verdict["stop"]:
                break
        return verdict["most_common"], drawn, drawn

    return replay


RULES: dict[str, Callable[[Sequence[str]], Replay]] = {
    "its-hub BetaSelfConsistency .95": beta_self_consistency,
    "its-hub AdaptiveSelfConsistency .75": adaptive_self_consistency,
    "AdaptiveConsistency beta .95": criterion(lambda: BetaStoppingCriteria(0.95)),
    "AdaptiveConsistency majority .8": criterion(lambda: MajorityStoppingCriteria(0.8)),
    "AdaptiveConsistency entropy .75": criterion(lambda: EntropyStoppingCriteria(0.75)),
}
"""At each package's default settings."""


def main(given: Path, written: Path) -> None:
    # Neither package knows an answer that could not be read: to both an empty one is a vote like any other.
    answers = [[answer or "" for answer in row] for row in json.loads(given.read_text()).values()]
    found = {}
    for name, replay in RULES.items():
        # Ties are broken at random by its-hub.
        random.seed(SEED)
        found[name] = [replay(row) for row in answers]
    written.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
