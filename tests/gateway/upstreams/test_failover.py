"""What the failover does with each kind of failure, beside the sixteen faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from asking import ask, failover, rung, upstreams

from forethought.core import Prices
from forethought.gateway.base import Account
from forethought.gateway.config import Timeouts
from forethought.gateway.money import cost_of
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import HttpUpstream
from forethought.gateway.upstreams.climb import Climb


def test_a_request_too_long_goes_on_only_to_a_larger_target(provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            small = replace(rung(first, "small", "context-length"), context=100)
            for context, status in ((100, 400), (None, 400), (50, 400), (200, 200)):
                large = replace(rung(second, "large", "ok"), context=context)
                seen, account = await ask(failover(), [small, large])
                assert (seen.status, seen.primary) == (status, 0)
                assert len(account.attempts) == (2 if status == 200 else 1)
            unknown = replace(small, context=None)
            seen, _ = await ask(failover(), [unknown, large])
            assert seen.status == 400

    asyncio.run(main())
    assert len(provider.requests) == 5


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_wrong_with_the_gateway_is_tried_elsewhere_and_never_shown(status, provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            wrong = rung(first, "wrong", f"status-{status}")
            seen, account = await ask(failover(), [wrong, rung(second, "right", "ok")])
            assert seen.done
            assert [attempt.status for attempt in account.attempts] == [status, 200]
            seen, account = await ask(failover(), [wrong])
            assert (seen.status, seen.error["code"], account.ending) == (502, "upstream_rejected", "failed")

    asyncio.run(main())
    assert len(provider.requests) == 2


def test_a_named_models_error_reply_is_given_as_it_came(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover()
            for model, status, ending in (
                ("status-404", 404, "refused"),
                ("content-filter", 400, "refused"),
                ("context-length", 400, "refused"),
                ("status-500", 500, "failed"),
                ("status-429-retry-after-30", 429, "failed"),
            ):
                account = Account()
                delivery = await survivor.forward(rung(first, model, model), account)
                assert (delivery.status, account.ending) == (status, ending)
                assert delivery.body is not None
                assert b'"error"' in delivery.body
                assert delivery.content_type == "application/json"
                assert delivery.headers == ({"retry-after": "30"} if status == 429 else {})

    asyncio.run(main())


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("status-401", 502, "upstream_rejected"),
        ("status-403", 502, "upstream_rejected"),
        ("status-302", 502, "upstream_rejected"),
        ("reset", 502, "upstream_unavailable"),
        ("silent", 504, "upstream_timeout"),
        ("malformed-0", 502, "upstream_unavailable"),
    ],
)
def test_a_named_model_without_an_answer_is_a_problem(model, status, code, provider):
    async def main():
        async with upstreams(provider) as (first,):
            with pytest.raises(Problem) as caught:
                await failover().forward(rung(first, "named", model), Account())
            assert (caught.value.status, caught.value.code) == (status, code)

    asyncio.run(main())


def test_nobody_listens(provider):
    async def main():
        async with upstreams(provider) as (first,):
            first._base_url = "http://127.0.0.1:1/v1"
            account = Account()
            with pytest.raises(Problem) as caught:
                await failover().deliver([rung(first, "gone", "ok")], account)
            assert (caught.value.status, caught.value.code) == (503, "upstream_unavailable")
            assert [attempt.error for attempt in account.attempts] == ["connect", "connect"]
            assert account.cost == 0

    asyncio.run(main())


def test_where_a_breaker_rests_the_client_hears_for_how_long(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=1, rest=7)
            named = rung(first, "named", "status-500")
            await survivor.forward(named, Account())
            asked = len(provider.requests)
            for ask_it in (survivor.forward(named, Account()), survivor.deliver([named], Account())):
                with pytest.raises(Problem) as caught:
                    await ask_it
                assert (caught.value.status, caught.value.headers["retry-after"]) == (503, "7")
            assert len(provider.requests) == asked

    asyncio.run(main())


def test_a_target_that_asked_for_rest_is_left_alone_and_no_other(provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover()
            limited, spare = rung(first, "limited", "status-429-retry-after-30"), rung(second, "spare", "ok")
            for _ in range(3):
                seen, _ = await ask(survivor, [limited, spare])
                assert seen.done
            assert len(provider.requests) == 1
            assert (await ask(survivor, [rung(first, "sibling", "ok")]))[0].done
            with pytest.raises(Problem) as caught:
                await survivor.deliver([limited], Account())
            assert 29 <= int(caught.value.headers["retry-after"]) <= 30

    asyncio.run(main())


def test_a_short_rest_is_waited_for(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover()
            limited = rung(first, "limited", "first-1-status-429-retry-after-0.1")
            seen, other = await asyncio.gather(ask(survivor, [limited]), ask(survivor, [limited]))
            assert seen[0].done
            assert other[0].done
            gaps = [received.at - provider.requests[0].at for received in provider.requests[2:]]
            assert all(0.1 <= gap <= 0.2 for gap in gaps)

    asyncio.run(main())


def test_a_request_ends_when_its_time_is_over(provider):
    async def main():
        async with upstreams(provider) as (first,):
            for rungs in ([rung(first, "a", "silent")], [rung(first, "a", "status-503-retry-after-0.9")]):
                started = time.monotonic()
                with pytest.raises(Problem) as caught:
                    await failover(total=0.2).deliver(rungs, Account())
                assert (caught.value.status, caught.value.code) == (504, "deadline")
                assert time.monotonic() - started < 0.4

    asyncio.run(main())


def test_a_stream_that_outlasts_its_request_is_cut(provider):
    async def main():
        async with upstreams(provider) as (first,):
            seen, account = await ask(failover(total=0.2), [rung(first, "slow", "ok+pace-0.02", stream=True)])
            assert (seen.failed, seen.done, account.ending) == (True, False, "truncated")
            assert seen.seconds < 0.5

    asyncio.run(main())


def test_a_client_that_hangs_up_while_it_waits_costs_nothing_and_frees_the_probe(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=1, rest=0.05, first_token=5)
            await ask(survivor, [rung(first, "a", "status-400-x")])
            await ask(survivor, [rung(first, "a", "status-500")])
            await asyncio.sleep(0.06)
            account = Account()
            probe = asyncio.create_task(survivor.deliver([rung(first, "a", "silent")], account))
            await asyncio.sleep(0.03)
            assert survivor.breaker("a").state == "half-open"
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert [(a.error, a.cost) for a in account.attempts] == [("cancelled", 0)]
            assert account.ending == "cancelled"
            assert await asyncio.to_thread(provider.wait_until, lambda: provider.requests[-1].hung_up is not None)
            assert (await ask(survivor, [rung(first, "a", "ok")]))[0].done

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_charged_as_told(stream, provider):
    async def main():
        async with upstreams(provider) as (first,):
            _, account = await ask(failover(), [rung(first, "a", "ok", stream)])
            [attempt] = account.attempts
            assert (attempt.output_tokens, attempt.estimated, attempt.status, attempt.error) == (60, False, 200, "")
            assert attempt.cached_tokens == attempt.input_tokens // 2 > 0
            assert attempt.cost == cost_of(Prices(1.0, 2.0), attempt.input_tokens, 60, attempt.cached_tokens)
            assert attempt.first_seconds is not None
            assert 0 < attempt.first_seconds <= attempt.seconds

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_that_nobody_told_are_guessed(stream, provider):
    async def main():
        async with upstreams(provider) as (first,):
            one = rung(first, "a", "no-usage", stream)
            _, account = await ask(failover(), [one])
            [attempt] = account.attempts
            assert attempt.estimated
            assert attempt.input_tokens == -(-len(one.request.body) // 4)
            assert attempt.output_tokens == (60 if stream else pytest.approx(60, abs=2))

    asyncio.run(main())


def test_usage_that_only_the_gateway_asked_for_is_not_passed_on(provider):
    async def main():
        async with upstreams(provider) as (first,):
            for show in (True, False):
                one = rung(first, "a", "ok", stream=True)
                one = replace(one, request=replace(one.request, show_usage=show))
                delivery = await failover().deliver([one], Account())
                got = b"".join([piece async for piece in delivery.pieces])
                assert (b'"prompt_tokens"' in got) is show

    asyncio.run(main())


def test_an_upstream_that_stays_open_after_the_end_does_not_hold_it_up(provider):
    async def main():
        async with upstreams(provider) as (first,):
            seen, account = await ask(failover(), [rung(first, "a", "hang", stream=True)])
            assert (seen.done, account.ending) == (True, "ok")
            assert seen.seconds < 0.25

    asyncio.run(main())


def test_closing_pieces_that_were_never_read_enters_the_attempt(provider):
    async def main():
        async with upstreams(provider) as (first,):
            account = Account()
            delivery = await failover().deliver([rung(first, "a", "ok+pace-0.05", stream=True)], account)
            await delivery.pieces.aclose()
            await delivery.pieces.aclose()
            assert [attempt.error for attempt in account.attempts] == ["cancelled"]
            assert [piece async for piece in delivery.pieces] == []

    asyncio.run(main())


def test_another_target_at_the_same_address_is_no_retry(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(budget=0.0, failures=1)
            seen, _ = await ask(survivor, [rung(first, "a", "status-500"), rung(first, "b", "ok")])
            assert seen.done
            assert (survivor.breaker("a").state, survivor.breaker("b").state) == ("open", "closed")

    asyncio.run(main())
    assert len(provider.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("slow", ["slow-first-0.3", "silent"])
def test_a_hedge_answers_for_a_slow_first_and_the_loser_is_closed(slow, stream, provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover(hedge_after=0.05)
            seen, account = await ask(
                survivor, [rung(first, "slow", slow, stream), rung(second, "spare", "ok", stream)]
            )
            assert seen.done
            assert 0.05 <= seen.seconds < 0.25
            assert account.ending == "ok"
            assert sorted((a.target, a.error) for a in account.attempts) == [("slow", "cancelled"), ("spare", "")]
            assert await asyncio.to_thread(provider.wait_until, lambda: provider.requests[0].hung_up is not None)
            quick, _ = await ask(survivor, [rung(first, "quick", "ok", stream), rung(second, "spare", "ok", stream)])
            assert quick.done
            assert len(other_provider.requests) == 1

    asyncio.run(main())


def test_a_hedge_that_fails_leaves_the_first_to_answer(provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover(hedge_after=0.02)
            rungs = [rung(first, "slow", "slow-first-0.1"), rung(second, "broken", "status-500")]
            seen, account = await ask(survivor, rungs)
            assert seen.done
            assert [attempt.target for attempt in account.attempts] == ["broken", "slow"]
            assert len(provider.requests) == 1

    asyncio.run(main())


def test_an_upstream_that_cuts_every_stream_is_left_alone(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=3, rest=60)
            for _ in range(3):
                seen, _ = await ask(survivor, [rung(first, "a", "cut-2", stream=True)])
                assert seen.failed
            assert survivor.breaker("a").state == "open"

    asyncio.run(main())


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_client_cannot_open_a_breaker_by_asking_nonsense(status, provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=1)
            await survivor.forward(rung(first, "a", f"status-{status}"), Account())
            assert survivor.breaker("a").state == "closed"

    asyncio.run(main())


def test_an_upstream_that_refuses_the_key_is_left_alone(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=1)
            with pytest.raises(Problem):
                await survivor.forward(rung(first, "a", "status-401"), Account())
            assert survivor.breaker("a").state == "open"

    asyncio.run(main())


def test_an_upstream_that_ignores_stream_is_answered_with_what_it_sent(provider):
    async def main():
        async with upstreams(provider) as (first,):
            whole = rung(first, "a", "ok")
            asked = replace(whole, request=replace(whole.request, stream=True))
            delivery = await failover().deliver([asked], Account())
            assert delivery.pieces is None
            assert delivery.content_type == "application/json"

    asyncio.run(main())


@asynccontextmanager
async def saying(body: bytes, length: int | None = None) -> AsyncIterator[HttpUpstream]:
    """An upstream that says this to everybody, and may have announced more than it says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r")[0]))
        announced = len(body) if length is None else length
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % announced)
        writer.write(body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    upstream = HttpUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeouts=Timeouts())
    try:
        yield upstream
    finally:
        await upstream.aclose()
        server.close()


WHOLE = b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":20,"completion_tokens":100}}'
NO_CHOICE = b'{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":100}}'


def test_a_whole_answer_that_was_cut_costs_nothing(provider):
    async def main():
        async with upstreams(provider) as (first,):
            account = Account()
            with pytest.raises(Problem):
                await failover().deliver([rung(first, "a", "cut-1")], account)
            assert [(a.error, a.output_tokens, a.cost) for a in account.attempts] == [("cut", 0, 0)] * 2

    asyncio.run(main())


@pytest.mark.parametrize(("body", "more"), [(WHOLE, 50), (NO_CHOICE, 0)])
def test_what_a_failed_answer_told_of_its_usage_is_charged(body, more):
    async def main():
        async with saying(body, len(body) + more) as upstream:
            account = Account()
            with pytest.raises(Problem):
                await failover(attempts=1).deliver([rung(upstream, "a", "m")], account)
            [attempt] = account.attempts
            assert (attempt.input_tokens, attempt.output_tokens, attempt.estimated) == (20, 100, False)
            assert attempt.cost == cost_of(Prices(1.0, 2.0), 20, 100)

    asyncio.run(main())


@pytest.mark.parametrize(("allowance", "asked"), [(None, 2), (2 * 300_000, 2), (300_000, 1), (300_000 - 1, 0)])
def test_nobody_is_asked_whom_the_allowance_does_not_cover(allowance, asked):
    async def main():
        async with saying(WHOLE, len(WHOLE) + 50) as upstream:
            account = Account(allowance=allowance)
            with pytest.raises(Problem):
                await failover().deliver([replace(rung(upstream, "a", "m"), bound=300_000)], account)
            assert len(account.attempts) == asked
            assert account.held == 0

    asyncio.run(main())


def test_attempts_under_way_are_covered_together(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor, account = failover(), Account(allowance=3000)
            one = replace(rung(first, "a", "ok+wait-0.05"), bound=1000, prices=Prices(0.0, 1.0))
            found = await asyncio.gather(*(survivor.deliver([one], account) for _ in range(5)), return_exceptions=True)
            assert sum(isinstance(each, Problem) for each in found) == 2
            assert len(provider.requests) == 3

    asyncio.run(main())


def test_a_hedge_that_is_not_covered_is_not_asked(provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor, account = failover(hedge_after=0.02), Account(allowance=1500)
            slow, spare = rung(first, "slow", "slow-first-0.1"), rung(second, "spare", "ok")
            free = Prices(0.0, 0.0)
            rungs = [replace(each, bound=1000, prices=free) for each in (slow, spare)]
            delivery = await survivor.deliver(rungs, account)
            assert delivery.target == "slow"
            assert other_provider.requests == []

    asyncio.run(main())


@pytest.mark.parametrize(("allowance", "charged"), [(10**9, True), (None, False)])
def test_what_is_given_up_after_it_was_sent_costs_its_prompt_where_there_is_a_budget(allowance, charged, provider):
    async def main():
        async with upstreams(provider) as (first,):
            account, one = Account(allowance=allowance), replace(rung(first, "a", "silent"), bound=10**6)
            asking = asyncio.create_task(failover(first_token=5).deliver([one], account))
            await asyncio.sleep(0.05)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            [attempt] = account.attempts
            prompt = -(-len(one.request.body) // 4) if charged else 0
            assert (attempt.input_tokens, attempt.output_tokens, attempt.estimated) == (prompt, 0, charged)
            assert attempt.cost == 1000 * prompt
            assert account.held == 0

    asyncio.run(main())


def test_an_estimate_is_never_dearer_than_what_was_held_for_it(provider):
    async def main():
        async with upstreams(provider) as (first,):
            account = Account(allowance=10)
            await failover().deliver([replace(rung(first, "a", "no-usage"), bound=10)], account)
            assert (account.cost, account.attempts[0].estimated) == (10, True)

    asyncio.run(main())


def test_an_answer_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("forethought.gateway.upstreams.attempt._LONGEST_ANSWER", 10_000)

    async def main(length: int) -> Any:
        body = b'{"choices":[{"message":{"content":"' + b"x" * length + b'"}}]}'
        async with saying(body) as upstream:
            seen, account = await ask(failover(attempts=1), [rung(upstream, "a", "m")])
            return seen.status, account.attempts[0].error

    assert asyncio.run(main(9_000)) == (200, "")
    assert asyncio.run(main(11_000)) == (503, "malformed")


def test_a_retry_that_is_not_started_takes_nothing_from_the_retry_budget(provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover(hedge_after=0.01, base=0.5)
            rungs = [rung(first, "a", "ok"), rung(second, "slow", "slow-first-0.1")]
            climb = Climb(rungs, survivor._clock() + 9, frozenset())
            [tried, slow] = climb.legs
            tried.tries, tried.ready = 1, survivor._clock() + 0.3
            saved = survivor._of("a").budget._saved
            assert await survivor._hedged(climb, slow, Account()) is not None
            assert survivor._of("a").budget._saved == saved == 1
            assert provider.requests == []

    asyncio.run(main())


def test_a_wait_beyond_the_requests_time_takes_nothing_from_the_retry_budget(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(total=0.2)
            with pytest.raises(Problem):
                await survivor.deliver([rung(first, "a", "status-503-retry-after-0.9")], Account())
            assert survivor._of("a").budget._saved == 1

    asyncio.run(main())
