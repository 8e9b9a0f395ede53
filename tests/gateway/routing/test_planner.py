from __future__ import annotations

import asyncio
import math
import time

import pytest

from forethought.core import Question
from forethought.errors import ConfigError, FeatureError
from forethought.gateway.problems import Problem
from forethought.gateway.routing import Planner
from forethought.router import Router

LONG = "a " * 500_000


def test_a_named_target_is_planned_without_anything_being_read(plan_of, ask, encoder):
    for path in ("/chat/completions", "/completions", "/responses", "/embeddings"):
        plan = plan_of(ask(model="dear", path=path))
        assert (plan.targets, plan.decision, plan.reading) == (("dear",), None, None)
    assert encoder.texts == []


def test_a_named_target_needs_no_router_and_no_event_loop(gateway_config, ask):
    coroutine = Planner(gateway_config(), None).plan(ask(model="north"))
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value.targets == ("north",)


def test_an_unknown_model_is_told_what_there_is(plan_of, ask):
    with pytest.raises(Problem, match=r"'west'.*north, south.*forethought/<policy>") as refused:
        plan_of(ask(model="west"))
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_without_a_router_nothing_is_routed(gateway_config, ask):
    with pytest.raises(Problem, match="no model 'forethought'; there are north") as refused:
        asyncio.run(Planner(gateway_config(), None).plan(ask()))
    assert refused.value.status == 404


@pytest.mark.parametrize("path", ["/responses", "/embeddings"])
def test_paths_that_are_not_routed_are_refused(plan_of, ask, path):
    with pytest.raises(Problem) as refused:
        plan_of(ask(path=path))
    assert (refused.value.status, refused.value.code) == (400, "not_routable")


def test_the_plan_is_the_routers_decision(plan_of, ask, artifact, prices, encoder):
    alone = Router.load(artifact, prices=prices, encoder_price=0.1, encoder=encoder)
    for text in ("which river is it", "name a planet of metal", "what colour has this island"):
        plan = plan_of(ask(text))
        assert plan.decision == alone.route(text)
        assert plan.targets[0] == plan.decision.target
        assert sorted(plan.targets) == sorted(alone.heads.names)
        assert (plan.reading.read, plan.reading.of) == (len(text), len(text))
        assert len(plan.reading.logits) == 5
        assert 0 < len(plan.reading.projection) <= 64


def test_a_completion_is_routed_by_its_prompt(plan_of, ask):
    chat = plan_of(ask("which river is it"))
    plain = plan_of(ask("which river is it", path="/completions"))
    assert (plain.decision, plain.reading) == (chat.decision, chat.reading)
    assert plain.conversation is None


@pytest.mark.parametrize("prompt", [[1, 2], ["a", "b"], None, 3])
def test_a_completion_of_no_single_text_is_not_routed(plan_of, ask, prompt):
    with pytest.raises(Problem) as refused:
        plan_of(ask(path="/completions", prompt=prompt))
    assert (refused.value.status, refused.value.code) == (400, "not_routable")


@pytest.mark.parametrize("text", ["", "  \n", None, [{"type": "image_url", "image_url": {"url": "x"}}], 7, [3]])
def test_a_last_user_turn_without_text_is_refused(plan_of, ask, text):
    with pytest.raises(Problem, match="no text to route by") as refused:
        plan_of(ask(text))
    assert (refused.value.status, refused.value.code) == (400, "empty_prompt")


def test_failover_goes_by_falling_worth_under_the_rule(plan_of, ask):
    def worth(prediction):
        return 0.001 * prediction.success - prediction.cost_usd

    for text in ("which river is it", "name a verb", "an engine of metal"):
        plan = plan_of(ask(text, model="forethought/value:0.001"))
        by_name = {prediction.target: worth(prediction) for prediction in plan.decision.predictions}
        assert list(plan.targets) == sorted(by_name, key=by_name.__getitem__, reverse=True)


def test_only_capable_configured_priced_targets_are_planned(plan_of, ask, gateway_config):
    config = gateway_config({"north": None, "south": {"features": []}, "middling": {"prices": None}})
    plan = plan_of(ask(tools=[{"type": "function"}]), config)
    assert set(plan.targets) == {"dear", "hopeless"}
    costs = {prediction.target: prediction.cost_usd for prediction in plan.decision.predictions}
    assert costs["north"] is None
    assert costs["middling"] is None
    assert costs["dear"] > 0


def test_if_none_can_do_it_the_client_hears_who_lacks_what(plan_of, ask, gateway_config):
    config = gateway_config({name: {"features": ["json"]} for name in ("north", "south", "middling", "hopeless")})
    with pytest.raises(Problem, match=r"north lacks tools, n; .*dear lacks n") as refused:
        plan_of(
            ask(tools=[{}], n=2),
            config.model_copy(
                update={
                    "target": tuple(
                        entry.model_copy(update={"features": frozenset({"tools"})}) if entry.name == "dear" else entry
                        for entry in config.target
                    )
                }
            ),
        )
    assert (refused.value.status, refused.value.code) == (400, "no_capable_target")


def test_excluded_targets_are_left_out(plan_of, ask):
    plan = plan_of(ask(), excluded=frozenset({"dear", "north"}))
    assert set(plan.targets) == {"south", "middling", "hopeless"}


@pytest.mark.parametrize("model", ["forethought", "dear"])
def test_where_only_excluded_targets_are_left_the_quota_is_told(plan_of, ask, model):
    with pytest.raises(Problem) as refused:
        plan_of(ask(model=model), excluded=frozenset({"north", "south", "middling", "dear", "hopeless"}))
    assert (refused.value.status, refused.value.code) == (429, "quota_exhausted")


def test_an_abstention_asks_nobody(plan_of, ask, gateway_config):
    policies = {"careful": {"rule": "argmax+floor", "setting": {"floor": 1.0}}}
    plan = plan_of(ask(model="forethought/careful"), gateway_config(policies=policies))
    assert plan.targets == ()
    assert plan.decision.target is None
    assert plan.reading.logits


def test_a_policy_of_the_configuration_that_cannot_be_made_is_refused_at_once(gateway_config):
    with pytest.raises(ConfigError, match="tau must lie in"):
        Planner(gateway_config(policies={"wrong": {"rule": "tolerance", "setting": {"tau": 7}}}), None)


@pytest.mark.parametrize(
    "broken", [FeatureError("NaN"), RuntimeError("the encoder died"), ValueError("x"), MemoryError()]
)
def test_what_cannot_be_read_goes_to_the_safe_target(planned, ask, encoder, fitted, broken):
    reasons = []

    async def work(planner, host):
        encoder.broken = broken
        return await planner.plan(ask())

    plan = planned(work, on_fallback=reasons.append)
    assert plan.targets[0] == plan.decision.target == fitted.router.manifest["certificate"]["safe"]
    assert "safe target (features)" in plan.note
    assert (plan.decision.predictions, plan.reading) == ((), None)
    assert reasons == ["features"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_activations_that_are_not_finite_never_reach_a_decision(planned, ask, encoder, monkeypatch, bad):
    async def work(planner, host):
        states = encoder._states
        monkeypatch.setattr(encoder, "_states", lambda text: states(text) * bad)
        return await planner.plan(ask())

    plan = planned(work)
    assert plan.decision.rule == "safe"


def test_a_slow_reading_goes_to_the_safe_target_in_time(planned, ask, encoder, gateway_config):
    reasons = []

    async def work(planner, host):
        encoder.open.clear()
        started = time.perf_counter()
        plan = await planner.plan(ask())
        return plan, time.perf_counter() - started

    plan, seconds = planned(work, gateway_config(decision_seconds=0.05), on_fallback=reasons.append)
    assert (plan.decision.rule, reasons) == ("safe", ["timeout"])
    assert seconds < 0.5


def test_a_safe_target_that_cannot_be_asked_gives_way_to_the_dearest_that_can(planned, ask, encoder, fitted):
    safe = fitted.router.manifest["certificate"]["safe"]
    assert safe in ("dear", "middling")

    async def work(planner, host):
        encoder.broken = RuntimeError()
        return await planner.plan(ask(), excluded=frozenset({"dear", "middling"}))

    plan = planned(work)
    assert plan.targets == ("north", "south", "hopeless")


def test_a_rule_that_fails_goes_to_the_safe_target(planned, ask, monkeypatch):
    reasons = []

    async def work(planner, host):
        monkeypatch.setattr(Router, "decide", lambda *args, **rest: 1 / 0)
        return await planner.plan(ask())

    assert planned(work, on_fallback=reasons.append).decision.rule == "safe"
    assert reasons == ["decision"]


def test_turns_that_are_sent_but_not_read_are_priced(plan_of, ask):
    short = plan_of(ask()).decision
    history = (("user", "tell me"), ("assistant", "word " * 1000))
    long = plan_of(ask(earlier=history)).decision
    for before, after in zip(short.predictions, long.predictions, strict=True):
        assert after.cost_usd > before.cost_usd
        assert after.success == before.success


def test_a_megabyte_is_read_in_part_and_in_time(planned, ask, encoder):
    async def work(planner, host):
        started = time.perf_counter()
        plan = await planner.plan(ask(LONG))
        return plan, time.perf_counter() - started

    plan, seconds = planned(work)
    assert plan.reading.of == len(LONG)
    assert plan.reading.read <= 16 * encoder.window
    assert max(map(len, encoder.texts)) <= 16 * encoder.window
    assert seconds < 0.5


def test_equal_texts_that_arrive_together_share_one_prefill(planned, ask, encoder):
    async def work(planner, host):
        return await asyncio.gather(*(planner.plan(ask("which river is it")) for _ in range(20)))

    plans = planned(work)
    assert encoder.texts == ["which river is it"]
    assert len({plan.targets for plan in plans}) == 1


def test_every_installed_target_of_a_pool_of_local_models_is_planned(plan_of, ask, gateway_config, tmp_path):
    local = {"base_url": None, "model": str(tmp_path)}
    absent = {"base_url": None, "model": "gemma-3-270m"}
    config = gateway_config({"north": local, "south": absent})
    import forethought.gateway.routing.planner as planner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "absent_models", lambda: frozenset({"gemma-3-270m"}))
        plan = plan_of(ask(), config)
    assert "north" in plan.targets
    assert "south" not in plan.targets


def test_features_that_are_remembered_give_the_same_decision(planned, ask, encoder):
    async def work(planner, host):
        first = await planner.plan(ask())
        again = await planner.plan(ask())
        await host.read(Question.ask("another text"))
        return first, again

    first, again = planned(work)
    assert first == again
    assert encoder.texts == ["which river is it", "another text"]
