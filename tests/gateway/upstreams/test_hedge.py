"""Two attempts side by side: of two answers one is given, and the other closed whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from forethought.gateway.base import Delivery
from forethought.gateway.upstreams.hedge import hedged


class Pieces:
    """A stream that knows whether it was closed."""

    def __init__(self):
        self.closed = 0

    async def aclose(self):
        await asyncio.sleep(0)
        self.closed += 1


def begins(pieces, after=0.0):
    async def attempt():
        await asyncio.sleep(after)
        return Delivery(200, "x", "t", pieces=pieces)

    return attempt()


async def hangs(closing=0.0):
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        await asyncio.sleep(closing)
        raise


def test_the_answer_that_begins_first_is_given_and_left_open():
    pieces = Pieces()
    assert asyncio.run(hedged(hangs(), lambda: begins(pieces), 0.01)).pieces is pieces
    assert pieces.closed == 0


def test_two_that_begin_in_the_same_instant_give_one_and_close_the_other():
    first, second = Pieces(), Pieces()

    async def main():
        both = asyncio.Event()

        async def together(pieces):
            await both.wait()
            return Delivery(200, "x", "t", pieces=pieces)

        asyncio.get_running_loop().call_later(0.03, both.set)
        return await hedged(together(first), lambda: together(second), 0.01)

    given = asyncio.run(main()).pieces
    assert {first.closed, second.closed} == {0, 1}
    assert given.closed == 0


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_hangs_up_while_the_loser_closes_leaves_no_answer_open(turns):
    pieces = Pieces()

    async def main():
        begun = asyncio.Event()

        async def wins():
            await begun.wait()
            return Delivery(200, "x", "t", pieces=pieces)

        task = asyncio.create_task(hedged(hangs(closing=0.02), wins, 0.005))
        await asyncio.sleep(0.02)
        begun.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.03)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert pieces.closed == 1


def test_an_error_of_one_attempt_closes_the_other():
    async def breaks():
        await asyncio.sleep(0.02)
        raise ZeroDivisionError

    async def main():
        with pytest.raises(ZeroDivisionError):
            await hedged(breaks(), hangs, 0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
