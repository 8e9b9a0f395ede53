from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from forethought.gateway.base import Attempt, Key, Plan
from forethought.gateway.ledger import Feedback, Ledger, LedgerLost
from forethought.gateway.ledger.group import GroupWriter

TABLES = ("decisions", "attempts", "outcomes", "reservations")


def using(url: str, work: Callable[[Ledger], Awaitable[object]], **settings: float) -> object:
    """Do something with an open ledger."""

    async def done() -> object:
        ledger = Ledger(url, **settings)
        await ledger.start()
        try:
            return await work(ledger)
        finally:
            await ledger.close()

    return asyncio.run(done())


def test_a_decision_is_kept_whole(ledger_url, records):
    opened = records.opening(text="the prompt", stream=True, dear=True)

    async def work(ledger):
        await ledger.admit(opened)
        await ledger.settle(records.closing(opened, cost=7))
        await ledger.feedback(Feedback(opened.id, 0.5, "user", records.NOON + 9))
        return await ledger.decision(opened.id)

    found = using(ledger_url, work)
    assert found["decision"] == {
        "target": "large",
        "rule": "cheapest-above",
        "reason": "large is the cheapest target above 0.5",
        "artifact": "artifact",
        "setting": {"threshold": 0.5},
        "predictions": [
            {"target": "small", "success": 0.25, "output_tokens": 12.5, "cost_usd": 1e-6},
            {"target": "large", "success": 0.75, "output_tokens": 20.0, "cost_usd": None},
        ],
    }
    assert found["reading"] == {
        "read": 100, "of": 120, "encoder_tokens": 31, "logits": [-1.0, 1.5], "projection": [0.5] * 64,
    }  # fmt: skip
    assert found["attempts"] == [
        {
            "target": "large", "status": 200, "input_tokens": 10, "cached_tokens": 4, "output_tokens": 20, "cost": 7,
            "seconds": 0.5, "first_seconds": 0.1, "error": "", "estimated": False,
        }
    ]  # fmt: skip
    assert found["outcomes"] == [{"source": "user", "success": 0.5, "at": records.NOON + 9}]
    plain = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    assert found["targets"] == ["large", "small"]
    assert plain == {
        "id": opened.id, "at": records.NOON, "key_id": "free", "path": "/chat/completions", "model": "forethought",
        "stream": True, "dear": True, "conversation": None, "note": "a note", "text": "the prompt",
        "closed_at": records.NOON + 1, "ending": "ok", "status": 200, "target": "large", "seconds": 1.0, "cost": 7,
    }  # fmt: skip


def test_what_was_named_by_the_client_has_no_decision_and_no_text(ledger_url, records):
    opened = records.opening(plan=Plan(("small",)))

    async def work(ledger):
        await ledger.admit(opened)
        return await ledger.decision(opened.id), await ledger.decision("another")

    found, unknown = using(ledger_url, work)
    assert unknown is None
    assert found["decision"] is found["reading"] is found["text"] is found["closed_at"] is None
    assert found["attempts"] == found["outcomes"] == []


def test_a_second_end_changes_nothing(ledger_url, records):
    key = Key("k", daily_budget=100)
    opened = records.opening(key, reserve=10)

    async def work(ledger):
        await ledger.create_key(key, b"digest")
        await ledger.admit(opened)
        await ledger.settle(records.closing(opened, cost=7))
        await ledger.settle(records.closing(opened, cost=50, ending="failed", status=502))
        await ledger.settle(records.closing(records.opening(key), cost=50))  # never admitted
        return await ledger.decision(opened.id)

    found = using(ledger_url, work)
    assert (found["ending"], found["cost"], len(found["attempts"])) == ("ok", 7, 1)


def spent(url: str, key: str, query) -> tuple[int, int, int, int]:
    [row] = query(url, f"SELECT spent, reserved, requests, dear FROM spending WHERE key_id = '{key}'")
    return row


def test_two_ends_at_once_charge_once(ledger_url, records, query):
    opened = records.opening(Key("k", daily_budget=100), reserve=10)

    async def work(ledger):
        await ledger.admit(opened)
        await asyncio.gather(*(ledger.settle(records.closing(opened, cost=7)) for _ in range(3)))

    using(ledger_url, work)
    assert spent(ledger_url, "k", query) == (7, 0, 1, 0)


def test_an_end_may_wait_together_with_its_beginning(ledger_url, records, query):
    opened = records.opening(Key("k", daily_budget=100), reserve=10)

    async def work(ledger):
        told = Feedback(opened.id, 1.0, "user", 1.0)
        return await asyncio.gather(
            ledger.admit(opened), ledger.settle(records.closing(opened, cost=7)), ledger.feedback(told)
        )

    assert using(ledger_url, work) == [None, None, True]
    assert spent(ledger_url, "k", query) == (7, 0, 1, 0)


def test_the_spending_of_a_key_without_limits_is_counted(ledger_url, records, query):
    async def work(ledger):
        for _ in range(3):
            opened = records.opening(reserve=10, dear=True)
            await ledger.admit(opened)
            await ledger.settle(records.closing(opened, cost=7))

    using(ledger_url, work)
    assert spent(ledger_url, "free", query) == (21, 0, 3, 3)
    assert query(ledger_url, "SELECT * FROM reservations") == []


def test_a_second_word_of_one_source_replaces_its_first(ledger_url, records):
    opened = records.opening()

    async def work(ledger):
        await ledger.admit(opened)
        for success, source in ((1.0, "user"), (0.25, "grader"), (0.0, "user")):
            assert await ledger.feedback(Feedback(opened.id, success, source, 1.0)) is True
        assert await ledger.feedback(Feedback("unknown", 1.0, "user", 1.0)) is False
        return await ledger.decision(opened.id)

    told = using(ledger_url, work)["outcomes"]
    assert [(word["source"], word["success"]) for word in told] == [("grader", 0.25), ("user", 0.0)]


def test_words_of_one_source_at_once_leave_the_last(ledger_url, records):
    opened = records.opening()

    async def work(ledger):
        await ledger.admit(opened)
        await asyncio.gather(*(ledger.feedback(Feedback(opened.id, i / 8, "user", 1.0)) for i in range(8)))
        return await ledger.decision(opened.id)

    assert [word["success"] for word in using(ledger_url, work)["outcomes"]] == [7 / 8]


def test_a_conversation_keeps_the_target_that_answered_last(ledger_url, records):
    turn = records.opening(plan=replace(records.ROUTED, conversation="talk"))

    async def work(ledger):
        ends = [("small", 10), ("large", 20), (None, 30)]
        for i, (target, seconds) in enumerate(ends):
            opened = replace(turn, id=f"turn-{i}")
            await ledger.admit(opened)
            await ledger.settle(records.closing(opened, target=target, at=records.NOON + seconds))
        await ledger.admit(replace(turn, id="under way"))
        return [
            await ledger.kept_target("talk", records.NOON),
            await ledger.kept_target("talk", records.NOON + 20),
            await ledger.kept_target("talk", records.NOON + 21),
            await ledger.kept_target("other talk", 0.0),
        ]

    assert using(ledger_url, work) == ["large", "large", None, None]


def test_text_that_no_database_holds_is_stored_without_what_it_cannot(ledger_url, records):
    nasty = "a\0b\ud800c\u202e"
    plan = replace(records.ROUTED, conversation=nasty, note=nasty)
    opened = records.opening(text=nasty, model=nasty, plan=plan)

    async def work(ledger):
        await ledger.admit(opened)
        await ledger.settle(records.closing(opened, attempts=(Attempt("large", error=nasty),)))
        assert await ledger.feedback(Feedback(opened.id, 1.0, nasty, 1.0))
        assert await ledger.kept_target(nasty, 0.0) == "large"
        assert await ledger.decision(nasty) is None
        assert await ledger.key(nasty) is None
        return await ledger.decision(opened.id)

    assert using(ledger_url, work)["text"] == "a\ufffdb?c\u202e"


def test_a_prediction_that_is_no_number_is_null(ledger_url, records):
    plan = records.ROUTED
    unknown = replace(plan.decision, predictions=(plan.decision.predictions[0]._replace(success=float("nan")),))
    opened = records.opening(plan=replace(plan, decision=unknown))

    async def work(ledger):
        await ledger.admit(opened)
        return await ledger.decision(opened.id)

    assert using(ledger_url, work)["decision"]["predictions"][0]["success"] is None


def test_one_bad_record_does_not_take_its_group_down(ledger_url, records):
    openings = [records.opening() for _ in range(6)]
    openings[2] = replace(openings[2], id=openings[0].id)
    openings[4] = replace(openings[4], key=Key("k", daily_budget=2**80), reserve=2**79, text="SECRET")

    async def work(ledger):
        told = await asyncio.gather(*map(ledger.admit, openings), return_exceptions=True)
        return told, [await ledger.decision(opened.id) for opened in openings], ledger.ready()

    told, found, ready = using(ledger_url, work)
    assert [isinstance(answer, LedgerLost) for answer in told] == [False, False, True, False, True, False]
    assert "SECRET" not in str(told)
    assert [decision is None for decision in found] == [False, False, False, False, True, False]
    assert ready


def test_what_waits_is_written_in_few_transactions(ledger_url, records, monkeypatch):
    groups = []
    write = GroupWriter.write
    monkeypatch.setattr(
        GroupWriter,
        "write",
        lambda self, connection, group: (groups.append(len(group)), write(self, connection, group)),
    )

    async def work(ledger):
        await asyncio.gather(*(ledger.admit(records.opening()) for _ in range(64)))

    using(ledger_url, work)
    assert groups == [64]


def test_a_cancelled_caller_does_not_undo_what_it_had_written(ledger_url, records):
    opened = records.opening()

    async def work(ledger):
        waiting = asyncio.ensure_future(ledger.admit(opened))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        await ledger.settle(records.closing(opened))
        return await ledger.decision(opened.id)

    assert using(ledger_url, work)["ending"] == "ok"


def test_what_waits_is_written_before_the_ledger_closes(ledger_url, records):
    openings = [records.opening() for _ in range(20)]

    async def work(ledger):
        tasks = [asyncio.ensure_future(ledger.admit(opened)) for opened in openings]
        await asyncio.sleep(0)
        await ledger.close()
        await asyncio.gather(*tasks)
        with pytest.raises(LedgerLost, match="closed"):
            await ledger.admit(records.opening())
        with pytest.raises(LedgerLost, match="closed"):
            await ledger.decision("any")

    using(ledger_url, work)

    async def again(ledger):
        return [(await ledger.decision(opened.id))["id"] for opened in openings]

    assert using(ledger_url, again) == [opened.id for opened in openings]


def test_a_ledger_that_was_not_started_takes_nothing(ledger_url, records):
    ledger = Ledger(ledger_url)
    assert not ledger.ready()
    with pytest.raises(LedgerLost, match="not been started"):
        asyncio.run(ledger.admit(records.opening()))
    with pytest.raises(LedgerLost, match="not been started"):
        asyncio.run(ledger.any_key())
    asyncio.run(ledger.close())


def test_keys_are_made_found_and_ended(ledger_url):
    full = Key("11111111", "team [a]", "admin", 5 * 10**9, 2.5, 0.25)
    plain = Key("22222222")

    async def work(ledger):
        assert not await ledger.any_key()
        for key in (full, plain):
            await ledger.create_key(key, key.id.encode())
        with pytest.raises(LedgerLost):
            await ledger.create_key(full, b"again")
        assert await ledger.key(full.id) == (full, b"11111111")
        assert await ledger.key("33333333") is None
        assert [await ledger.revoke_key(id) for id in (plain.id, plain.id, "33333333")] == [True, False, False]
        assert await ledger.key(plain.id) is None
        assert await ledger.any_key()
        return await ledger.keys()

    first, second = using(ledger_url, work)
    assert set(first) == {
        "id", "name", "scope", "daily_budget", "requests_per_second", "dear_share", "created_at", "revoked_at",
        "spent", "reserved", "requests",
    }  # fmt: skip
    assert (first["name"], first["scope"], first["daily_budget"], first["dear_share"]) == (
        "team [a]", "admin", 5 * 10**9, 0.25,
    )  # fmt: skip
    assert first["revoked_at"] is None
    assert second["revoked_at"] >= second["created_at"]
    assert (second["spent"], second["reserved"], second["requests"]) == (0, 0, 0)


def counts(url: str, query) -> dict[str, int]:
    return {table: query(url, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


async def fill(ledger, records, key: Key, n: int, at: float) -> None:
    """`n` decisions with an end, an outcome and an attempt each."""
    openings = [records.opening(key, at=at, reserve=1) for _ in range(n)]
    await asyncio.gather(*map(ledger.admit, openings))
    await asyncio.gather(*(ledger.settle(records.closing(opened, cost=1)) for opened in openings))
    await asyncio.gather(*(ledger.feedback(Feedback(opened.id, 1.0, "user", at)) for opened in openings))


def test_what_is_older_than_its_retention_goes_with_all_that_belongs_to_it(ledger_url, records, query):
    async def work(ledger):
        await fill(ledger, records, records.FREE, 1001, records.NOON - 10)
        await fill(ledger, records, records.FREE, 3, records.NOON)
        return [await ledger.forget_before(records.NOON) for _ in range(2)]

    assert using(ledger_url, work) == [1001, 0]
    assert counts(ledger_url, query) == {"decisions": 3, "attempts": 3, "outcomes": 3, "reservations": 0}


def test_what_is_forgotten_of_a_key_is_all_of_it_and_nobody_elses(ledger_url, records, query):
    mine, other = Key("mine", daily_budget=1000), Key("other", daily_budget=1000)

    async def work(ledger):
        await fill(ledger, records, mine, 5, records.NOON)
        await fill(ledger, records, other, 4, records.NOON)
        return await ledger.forget_key("mine"), await ledger.forget_key("nobody")

    assert using(ledger_url, work) == (5, 0)
    assert counts(ledger_url, query) == {"decisions": 4, "attempts": 4, "outcomes": 4, "reservations": 0}
    assert spent(ledger_url, "mine", query) == (5, 0, 5, 0)


def test_a_decision_forgotten_while_it_is_served_is_charged_once_and_leaves_nothing(ledger_url, records, query):
    opened = records.opening(Key("k", daily_budget=100), reserve=10)

    async def work(ledger):
        await ledger.admit(opened)
        assert await ledger.forget_key("k") == 1
        for _ in range(2):
            await ledger.settle(records.closing(opened, cost=7))

    using(ledger_url, work)
    assert spent(ledger_url, "k", query) == (7, 0, 1, 0)
    assert set(counts(ledger_url, query).values()) == {0}
