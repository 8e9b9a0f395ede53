"""Hedging: a second upstream asked beside one that is slow to begin (Dean and Barroso, The tail at scale, 2013)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from forethought.gateway.base import Delivery

Asking = Coroutine[Any, Any, Delivery | None]
"""An attempt under way, None where it failed."""


async def hedged(first: Asking, spare: Callable[[], Asking | None], after: float) -> Delivery | None:
    """The answer that begins first; the other is cancelled. None where neither begins.

    Args:
        first: The attempt that is made anyway.
        spare: Makes the attempt to start beside it, None where there is none.
        after: Seconds of silence until then.
    """
    running = {asyncio.create_task(first)}
    winner: Delivery | None = None
    try:
        winner = await _begun(running, spare, after)
    finally:
        try:
            await _drop(running)
        except BaseException:  # given up while the loser was closing: nobody gets the winner either
            await _close(winner)
            raise
    return winner


async def _begun(
    running: set[asyncio.Task[Delivery | None]], spare: Callable[[], Asking | None], after: float
) -> Delivery | None:
    """The answer that begins first; its task is no longer among the running ones."""
    done, _ = await asyncio.wait(running, timeout=after)
    if not done and (second := spare()) is not None:
        running.add(asyncio.create_task(second))
    while running:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            running.discard(task)
            if (delivery := task.result()) is not None:
                return delivery
    return None


async def _drop(tasks: Collection[asyncio.Task[Delivery | None]]) -> None:
    """End attempts that lost, also one that began in the same instant as the winner."""
    for task in tasks:
        task.cancel()
    try:
        if tasks:
            await asyncio.wait(tasks)
    finally:
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None:
                await _close(task.result())


async def _close(delivery: Delivery | None) -> None:
    if delivery is not None and delivery.pieces is not None:
        await delivery.pieces.aclose()
