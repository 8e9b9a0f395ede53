"""The one thread in which this process's models run."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from forethought.models import LanguageModel

T = TypeVar("T")

ANSWERS_AT_ONCE = 8
"""Answers that take turns; each holds its prompt's keys and values, and more would only take memory."""


class LocalEngine:
    """Computes one step at a time on one core.

    Answers take turns token by token, so that a long one delays a short one but never holds it up. A vote is a single
    step, since its answers are computed as a batch: whatever comes meanwhile waits for its end.
    """

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "local-model", initializer=_on_one_core)
        self._turns = asyncio.Semaphore(ANSWERS_AT_ONCE)

    async def run(self, call: Callable[[], T]) -> T:
        """Call in the models' thread, after what is waiting already."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    async def steps(self, start: Callable[[], Generator[T, None, None]]) -> AsyncGenerator[T, None]:
        """What a generator gives, each step computed in the models' thread when it is asked for.

        Closing or cancelling lets the step under way end, and computes no other.
        """
        async with self._turns:
            made = await self.run(start)
            try:
                while (item := await self.run(lambda: next(made, None))) is not None:
                    yield item
            finally:
                self._give_up(made)

    def close(self) -> None:
        """Take no more work; a step under way ends."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _give_up(self, made: Generator[T, None, None]) -> None:
        with contextlib.suppress(RuntimeError):  # the engine was closed: nobody asks for another step
            self._worker.submit(made.close)


_loading = threading.Lock()
_loaded: dict[str, LanguageModel] = {}


def shared_model(source: str) -> LanguageModel:
    """A model's weights, loaded once in a process whoever needs them, and never changed.

    Args:
        source: As for `models.load`.

    Raises:
        ConfigError: Not installed, or no such model.
        ArtifactError: A folder without config or safetensors.
    """
    from forethought.models import load

    with _loading:
        if source not in _loaded:
            _loaded[source] = load(source)
        return _loaded[source]


def _on_one_core() -> None:
    import torch

    torch.set_num_threads(1)
