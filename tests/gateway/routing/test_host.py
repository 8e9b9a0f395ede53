from __future__ import annotations

import asyncio
import logging
import shutil
import threading

import numpy as np
import pytest

from forethought.core import FeatureSpec, Prices, Question
from forethought.errors import ArtifactError, FeatureError
from forethought.gateway.routing import RouterHost
from forethought.router import Router

RIVER = Question.ask("which river is it")


@pytest.fixture
def place(artifact, tmp_path):
    return shutil.copytree(artifact, tmp_path / "router")


@pytest.fixture
def hosted(place, encoder, prices):
    """Run something with a started host."""

    def run(work, **rest):
        async def running():
            host = RouterHost(place, prices, 0.1, encoder=encoder, **rest)
            await host.start()
            encoder.texts.clear()
            try:
                return await work(host)
            finally:
                encoder.open.set()
                host.close()

        return asyncio.run(running())

    return run


def test_what_is_read_decides_as_the_router_alone(hosted, place, encoder, prices):
    alone = Router.load(place, prices=prices, encoder_price=0.1, encoder=encoder)
    found = hosted(lambda host: host.read(RIVER))
    assert found.router.decide(found.blocks, found.encoder_tokens) == alone.route(RIVER)
    assert (found.read, found.of, found.encoder_tokens) == (17, 17, 4)
    np.testing.assert_allclose(found.logits, alone.heads.scorer.logits(found.blocks)[0])


def test_a_missing_an_altered_and_another_encoders_artifact_are_refused(place, prices, make_encoder, tmp_path):
    def start(path, encoder):
        host = RouterHost(path, prices, 0.1, encoder=encoder)
        try:
            asyncio.run(host.start())
        finally:
            host.close()

    with pytest.raises(ArtifactError, match="no artifact"):
        start(tmp_path / "nothing", make_encoder())
    with pytest.raises(FeatureError, match="weights 'other'"):
        start(place, make_encoder(weights="other"))
    (place / "tensors.safetensors").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="altered"):
        start(place, make_encoder())


def test_targets_without_a_price_do_not_keep_a_router_from_being_served(place, encoder):
    async def started():
        host = RouterHost(place, {"north": Prices(1.0, 2.0)}, 0.0, encoder=encoder)
        await host.start()
        host.close()
        return host.current

    assert asyncio.run(started()).heads.names == ("north", "south", "middling", "dear", "hopeless")


def test_the_same_text_is_read_once_now_and_later(hosted, encoder):
    async def work(host):
        await asyncio.gather(*(host.read(RIVER) for _ in range(10)))
        await host.read(RIVER)

    hosted(work)
    assert encoder.texts == [RIVER.text]


def test_no_text_is_kept(hosted):
    import gc

    text = "a text that nobody else has written"

    async def work(host):
        await host.read(Question.ask(text, id="x"))
        await asyncio.sleep(0.01)
        assert len(host._cache) == 1
        seen, left = set(), [host._cache]
        while left:
            thing = left.pop()
            if id(thing) in seen or isinstance(thing, type | Router):
                continue
            seen.add(id(thing))
            assert not (isinstance(thing, str) and text in thing)
            left += gc.get_referents(thing)
        return len(seen)

    assert hosted(work) > 5


def test_texts_long_unread_give_way(hosted, encoder):
    async def work(host):
        for text in ("one", "two", "one", "three", "one", "two"):
            await host.read(Question.ask(text))

    hosted(work, cache=2)
    assert encoder.texts == ["one", "two", "three", "two"]


def test_one_who_gives_up_takes_nothing_from_the_others(hosted, encoder):
    async def work(host):
        encoder.open.clear()
        first, second = (asyncio.create_task(host.read(RIVER)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        encoder.open.set()
        return await second

    assert hosted(work).of == 17


def test_what_nobody_waits_for_any_more_is_not_read(hosted, encoder):
    async def work(host):
        encoder.open.clear()
        tasks = [asyncio.create_task(host.read(Question.ask(f"text {i}"))) for i in range(50)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        encoder.open.set()
        await host.read(RIVER)

    hosted(work)
    assert encoder.texts == ["text 0", RIVER.text]


def test_a_failure_reaches_all_who_wait_and_is_not_remembered(hosted, encoder):
    async def work(host):
        encoder.broken = RuntimeError("once")
        failed = await asyncio.gather(*(host.read(RIVER) for _ in range(3)), return_exceptions=True)
        encoder.broken = None
        return failed, await host.read(RIVER)

    failed, found = hosted(work)
    assert [str(error) for error in failed] == ["once"] * 3
    assert found.logits


def test_nothing_is_reloaded_where_nothing_changed(hosted, place, artifact):
    async def work(host):
        before = host.current
        assert not await host.reload_if_changed()
        shutil.rmtree(place)
        assert not await host.reload_if_changed()
        shutil.copytree(artifact, place)
        assert not await host.reload_if_changed()
        return before is host.current

    assert hosted(work)


def test_a_changed_artifact_is_taken_up_and_texts_are_not_read_again(hosted, place, other_router, encoder):
    async def work(host):
        before = await host.read(RIVER)
        other_router.save(place)
        assert await host.reload_if_changed()
        return before, await host.read(RIVER), await host.read(RIVER)

    before, after, again = hosted(work)
    assert (before.router.artifact, after.router.artifact) != (after.router.artifact,) * 2
    np.testing.assert_allclose(after.logits, -np.array(before.logits), atol=1e-4)
    assert again is after
    assert encoder.texts.count(RIVER.text) == 1


def test_other_feature_specs_are_read_anew(hosted, place, fitted, encoder):
    from dataclasses import replace

    from forethought.router import FeatureBlocks

    async def work(host):
        before = await host.read(RIVER)
        spec: FeatureSpec = fitted.router.heads.features.specs[0]
        specs = (replace(spec, layers=(3,)), *fitted.router.heads.features.specs[1:])
        heads = replace(fitted.router.heads, features=FeatureBlocks(specs, fitted.router.heads.features.text))
        Router(heads, fitted.router.policy, fitted.router.prices, manifest=fitted.router.manifest).save(place)
        assert await host.reload_if_changed()
        return before, await host.read(RIVER)

    before, after = hosted(work)
    assert encoder.texts.count(RIVER.text) == 2
    assert not np.array_equal(before.blocks[0], after.blocks[0])


@pytest.mark.parametrize("name", ["manifest.json", "tensors.safetensors"])
def test_a_half_written_artifact_is_refused_once_and_the_old_one_serves_on(hosted, place, name, caplog):
    async def work(host):
        before = host.current
        whole = (place / name).read_bytes()
        (place / name).write_bytes(whole[: len(whole) // 2])
        with caplog.at_level(logging.ERROR):
            assert [await host.reload_if_changed() for _ in range(3)] == [False] * 3
        assert host.current is before
        assert (await host.read(RIVER)).router is before
        (place / name).write_bytes(whole)
        assert not await host.reload_if_changed()

    hosted(work)
    assert len(caplog.records) == 1


def test_files_that_arrive_one_by_one_are_taken_up_with_the_last(hosted, place, other_router, tmp_path):
    other_router.save(tmp_path / "new")

    async def work(host):
        changed = []
        for name in ("manifest.json", "vocabulary.json", "tensors.safetensors"):
            shutil.copy2(tmp_path / "new" / name, place / name)
            changed.append(await host.reload_if_changed())
        return changed, host.current.artifact

    changed, served = hosted(work)
    assert changed == [False, False, True]
    assert served == other_router.artifact


def test_a_manifest_that_says_nonsense_is_no_crash(hosted, place, caplog):
    from forethought.artifacts import save_artifact

    async def work(host):
        save_artifact(place, {"kind": "router", "targets": 3}, {"x": np.zeros(1)})
        return await host.reload_if_changed()

    assert hosted(work) is False
    assert "was not taken up" in caplog.text


def swapped_under_load(artifact, other_router, place, encoder, prices, gateway_config, ask, swaps):
    """Plan all the while a router is replaced by another and back; plans, the two routers, and how often it changed."""
    from forethought.gateway.routing import Planner

    routers = [Router.load(artifact, prices=prices, encoder_price=0.1, encoder=encoder), other_router]
    routers[1].prices = routers[0].prices
    plans, changes, done = [], 0, threading.Event()

    async def work():
        nonlocal changes
        host = RouterHost(place, prices, 0.1, encoder=encoder, cache=8)
        await host.start()
        planner = Planner(gateway_config(), host)

        async def asking(number):
            turn = 0
            while not done.is_set():
                text = f"question {number} {turn % 5}"
                plans.append((text, await planner.plan(ask(text))))
                turn += 1
                await asyncio.sleep(0.002)

        askers = [asyncio.create_task(asking(number)) for number in range(4)]
        for swap in range(swaps):
            await asyncio.to_thread(routers[1 - swap % 2].save, place)
            changes += await host.reload_if_changed()
        done.set()
        await asyncio.gather(*askers)
        host.close()

    asyncio.run(work())
    return plans, routers, changes


def check_every_decision_is_of_one_router(plans, routers, encoder):
    expected = {}
    by_hash = {router.artifact: router for router in routers}
    for text, plan in plans:
        router = by_hash[plan.decision.artifact]
        if (key := (text, router.artifact)) not in expected:
            question = Question.ask(text)
            blocks = router.heads.features.encode(encoder, [question])
            decided = router.decide(blocks, float(encoder.lengths([question])[0]))
            expected[key] = decided, router.heads.scorer.logits(blocks)[0]
        decided, logits = expected[key]
        assert plan.decision.predictions == decided.predictions
        assert plan.decision.target == decided.target
        np.testing.assert_allclose(plan.reading.logits, logits, atol=1e-6)
    assert {plan.decision.artifact for _, plan in plans} == set(by_hash)


def test_every_decision_is_of_one_router_through_many_swaps(
    artifact, other_router, place, encoder, prices, gateway_config, ask
):
    plans, routers, changes = swapped_under_load(
        artifact, other_router, place, encoder, prices, gateway_config, ask, 200
    )
    assert changes == 200
    assert len(plans) > 200
    check_every_decision_is_of_one_router(plans, routers, encoder)


@pytest.mark.slow
def test_every_decision_is_of_one_router_through_a_thousand_swaps(
    artifact, other_router, place, encoder, prices, gateway_config, ask
):
    plans, routers, changes = swapped_under_load(
        artifact, other_router, place, encoder, prices, gateway_config, ask, 1000
    )
    assert changes == 1000
    check_every_decision_is_of_one_router(plans, routers, encoder)


def test_an_artifact_that_is_replaced_while_it_is_read_is_read_again(place, other_router):
    from forethought.gateway.routing.reload import load_steady, signature

    read = []

    def load():
        read.append(Router.load(place).artifact)
        if len(read) == 1:
            other_router.save(place)
        return read[-1]

    assert load_steady(place, load) == (other_router.artifact, signature(place))
    assert len(read) == 2


def test_a_failure_of_an_artifact_that_was_replaced_meanwhile_is_no_failure(place, other_router):
    from forethought.gateway.routing.reload import load_steady

    read = []

    def load():
        read.append(1)
        if len(read) == 1:
            other_router.save(place)
            raise KeyError("half")
        return len(read)

    assert load_steady(place, load)[0] == 2


def test_an_artifact_that_never_holds_still_is_refused(place):
    from forethought.gateway.routing.reload import load_steady

    with pytest.raises(ArtifactError, match="again and again"):
        load_steady(place, lambda: (place / "manifest.json").touch())


def test_the_encoder_that_the_artifact_names_is_loaded_and_read_by_one_thread(tiny_model, planted, prices, tmp_path):
    import torch

    from forethought.activations import TransformersEncoder, extract
    from forethought.models import load
    from forethought.router import fit_router

    encoder = TransformersEncoder(load(str(tiny_model)), system="Answer.")
    store = extract(encoder, planted.questions, tmp_path / "store", layers=[2], readouts=["last"])
    config = planted.config.model_copy(update={"text": False, "readouts": ("last",)})
    fitted = fit_router(planted.assemble(config=config, stores=(store,)), config, planted.prices)
    fitted.router.save(tmp_path / "router")
    question = planted.questions[0]

    async def work():
        host = RouterHost(tmp_path / "router", prices, 0.1)
        await host.start()
        try:
            threads = host._worker.submit(torch.get_num_threads).result()
            return threads, host.system, await host.read(question), await host.read(Question.ask("\u6c34" * 10_000))
        finally:
            host.close()

    threads, system, found, long = asyncio.run(work())
    assert (threads, system) == (1, "Answer.")
    assert found.router.decide(found.blocks, found.encoder_tokens).predictions == fitted_decision(
        fitted, encoder, question
    )
    assert (long.encoder_tokens, long.of) == (512, 10_000)
    assert 100 < long.read < 170


def fitted_decision(fitted, encoder, question):
    blocks = fitted.router.heads.features.encode(encoder, [question])
    return fitted.router.decide(blocks, float(encoder.lengths([question])[0])).predictions


def test_an_encoder_stays_loaded_where_the_new_router_reads_by_it(place, other_router, encoder, monkeypatch):
    loads = []
    monkeypatch.setattr(Router, "encoder", property(lambda router: loads.append(router) or encoder))

    async def work():
        host = RouterHost(place, {}, 0.0)
        await host.start()
        other_router.save(place)
        assert await host.reload_if_changed()
        host.close()

    asyncio.run(work())
    assert len(loads) == 1
