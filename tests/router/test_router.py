from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest

from forethought import Router as FrontDoor
from forethought.allocation import AbstentionFloor, Argmax, Cascade, Single, Tolerance, Value, restricted
from forethought.artifacts import load_artifact, save_artifact
from forethought.core import Prices, Question
from forethought.errors import ArtifactError, ConfigError, FeatureError
from forethought.router import Router


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "router"
    fitted.router.save(path)
    return path


@pytest.fixture
def router(saved, planted, prices):
    return Router.load(saved, prices=prices, encoder_price=0.1, encoder=planted.encoder)


def test_the_front_door_is_the_router():
    assert FrontDoor is Router


def test_round_trip_decides_identically(router, fitted, planted):
    held = Router(
        fitted.router.heads, fitted.router.policy, planted.prices, encoder=planted.encoder, artifact=router.artifact
    )
    for question in planted.questions[:40]:
        assert router.route(question) == held.route(question)


def test_a_decision_says_what_it_rests_on(router, planted):
    decision = router.route(planted.questions[0])
    assert decision.artifact == router.artifact
    assert (decision.rule, decision.setting) == (router.policy.name, router.policy.setting)
    assert [p.target for p in decision.predictions] == list(router.heads.names)
    assert all(0 <= p.success <= 1 and p.output_tokens > 0 and p.cost_usd > 0 for p in decision.predictions)
    assert decision.target in decision.reason


def test_text_and_question_are_routed_alike(router, planted):
    question = planted.questions[3]
    assert router.route(question.text) == router.route(question)


def test_stored_features_decide_as_live_ones(router, planted):
    for question in planted.questions[:10]:
        blocks = router.heads.features.read(planted.data.stores, [question])
        live = router.route(question)
        assert router.decide(blocks, planted.encoder.lengths([question])[0]).target == live.target


def test_many_questions_at_once_are_decided_as_one_by_one(router, planted):
    async def ask():
        return await asyncio.gather(*(router.aroute(question) for question in planted.questions[:30]))

    assert asyncio.run(ask()) == [router.route(question) for question in planted.questions[:30]]


@pytest.mark.parametrize("policy", [Argmax(), Value(0.01), Tolerance(0.1), Cascade(0.5), Single(3), Single(0)])
def test_only_allowed_targets_are_chosen(router, planted, policy):
    allowed = ["dear", "middling"]
    for question in planted.questions[:20]:
        decision = router.route(question, allowed=allowed, policy=policy)
        assert decision.target in allowed
        assert len(decision.predictions) == 5


def test_allowing_every_target_changes_nothing(router, planted):
    for policy in (Single(2), Argmax(), AbstentionFloor(Single(2), 0.3)):
        for question in planted.questions[:10]:
            every = router.route(question, allowed=router.heads.names, policy=policy)
            assert every == router.route(question, policy=policy)


def test_the_single_target_keeps_its_name_under_fewer_columns(router):
    decision = router.route("anything", allowed=["hopeless", "middling"], policy=Single(2))
    assert (decision.target, decision.rule, decision.setting) == ("middling", "single", {"index": 2})


def test_a_single_target_that_is_not_allowed_gives_way_to_the_likeliest(router):
    decision = router.route("anything", allowed=["hopeless", "middling"], policy=Single(0))
    assert (decision.target, decision.rule) == ("middling", "argmax")


def test_restriction_reaches_through_a_floor():
    assert restricted(AbstentionFloor(Single(3), 0.2), [1, 3]) == AbstentionFloor(Single(1), 0.2)
    assert restricted(Value(1.0), [1, 3]) == Value(1.0)


def test_an_unknown_or_empty_allowance_is_refused(router):
    with pytest.raises(ConfigError, match=r"'west'.*north"):
        router.route("anything", allowed=["west"])
    with pytest.raises(ConfigError, match="at least one"):
        router.route("anything", allowed=[])


def test_abstention_is_a_decision(router):
    decision = router.route("anything", policy=AbstentionFloor(Argmax(), 1.0))
    assert decision.target is None
    assert "under the floor of 1" in decision.reason


@pytest.mark.parametrize(
    ("field", "other"),
    [("encoder", {"name": "impostor"}), ("weights", {"weights": "w2"}), ("template", {"template": "t2"})],
)
def test_another_encoder_is_refused_by_the_field_that_differs(saved, make_encoder, field, other):
    router = Router.load(saved, encoder=make_encoder(**other))
    with pytest.raises(FeatureError, match=rf"{field} '.*', the probe was fitted on"):
        router.route("anything")


def test_another_layer_is_refused(router, planted):
    from dataclasses import replace

    from forethought.router import FeatureBlocks
    from forethought.router.features import check_spec

    spec = router.heads.features.specs[0]
    with pytest.raises(FeatureError, match=r"layers \(1,\), the probe was fitted on \(2,\)"):
        check_spec(replace(spec, layers=(1,)), spec)
    absent = FeatureBlocks((replace(spec, weights="w2"),))
    with pytest.raises(FeatureError, match="no activation store"):
        absent.read(planted.data.stores, planted.questions[:1])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused(router, planted, bad):
    blocks = router.heads.features.read(planted.data.stores, planted.questions[:1])
    blocks[0] = blocks[0].copy()
    blocks[0][0, 0] = bad
    with pytest.raises(FeatureError, match="finite"):
        router.decide(blocks, 5.0)


def test_features_of_another_width_are_refused(router, planted):
    blocks = router.heads.features.read(planted.data.stores, planted.questions[:1])
    with pytest.raises(FeatureError, match="width"):
        router.decide([blocks[0][:, :-1], *blocks[1:]], 5.0)


def test_prices_change_decisions_without_a_fit(saved, planted):
    even = dict.fromkeys(("north", "south", "middling", "dear", "hopeless"), Prices(1.0, 1.0))
    chosen = {}
    for favoured in ("dear", "middling"):
        prices = {**dict.fromkeys(even, Prices(1e6, 1e6)), favoured: Prices(0.0, 0.0)}
        router = Router.load(saved, prices=prices, encoder=planted.encoder)
        chosen[favoured] = {router.route(q, policy=Value(1.0)).target for q in planted.questions[:10]}
    assert chosen == {"dear": {"dear"}, "middling": {"middling"}}


def test_without_prices_every_target_is_free(saved, planted):
    decision = Router.load(saved, encoder=planted.encoder).route("anything")
    assert {p.cost_usd for p in decision.predictions} == {0.0}


def test_a_missing_price_is_named(saved, prices):
    with pytest.raises(ConfigError, match="no prices for south"):
        Router.load(saved, prices={name: p for name, p in prices.items() if name != "south"})


def test_prices_are_not_in_the_artifact(saved):
    manifest, tensors, _ = load_artifact(saved)
    assert not [key for key in [*manifest, *tensors] if "price" in key]


def test_saving_again_gives_the_same_artifact(router, saved, tmp_path):
    before = router.artifact
    assert router.save(tmp_path / "again") == before
    assert (tmp_path / "again" / "tensors.safetensors").read_bytes() == (saved / "tensors.safetensors").read_bytes()


def copy_of(saved, tmp_path):
    import shutil

    return shutil.copytree(saved, tmp_path / "copy")


@pytest.mark.parametrize("name", ["manifest.json", "tensors.safetensors", "vocabulary.json"])
@pytest.mark.parametrize("place", [0.0, 0.11, 0.5, 0.73, 0.999])
def test_an_altered_byte_is_refused(saved, tmp_path, name, place):
    path = copy_of(saved, tmp_path) / name
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        Router.load(path.parent)


@pytest.mark.parametrize("name", ["manifest.json", "tensors.safetensors", "vocabulary.json"])
def test_a_truncated_file_is_refused(saved, tmp_path, name):
    path = copy_of(saved, tmp_path) / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError):
        Router.load(path.parent)


@pytest.mark.parametrize("name", ["manifest.json", "tensors.safetensors", "vocabulary.json"])
def test_a_missing_file_is_refused(saved, tmp_path, name):
    path = copy_of(saved, tmp_path) / name
    path.unlink()
    with pytest.raises(ArtifactError, match=name):
        Router.load(path.parent)


def test_a_changed_setting_is_refused(saved, tmp_path):
    path = copy_of(saved, tmp_path) / "manifest.json"
    body = json.loads(path.read_text())
    body["policy"] = {"name": "single", "setting": {"index": 3}}
    path.write_text(json.dumps(body))
    with pytest.raises(ArtifactError, match="altered"):
        Router.load(path.parent)


def test_another_schema_version_is_refused(saved, tmp_path):
    path = copy_of(saved, tmp_path) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 2}))
    with pytest.raises(ArtifactError, match=r"schema version 2; this release reads 1"):
        Router.load(path.parent)


def test_another_kind_of_artifact_is_refused(tmp_path):
    save_artifact(tmp_path / "other", {"kind": "fit record"}, {"x": np.zeros(1)})
    with pytest.raises(ArtifactError, match="'fit record', not a 'router'"):
        Router.load(tmp_path / "other")


def test_a_symlink_in_place_of_a_file_is_refused(saved, tmp_path):
    path = copy_of(saved, tmp_path) / "tensors.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="plain file"):
        Router.load(path.parent)


def test_another_policy_leaves_the_heads(router):
    thrifty = router.with_policy(Value(0.0))
    assert thrifty.heads is router.heads
    assert thrifty.route("anything").target == "hopeless"


def test_an_example_question_without_words_is_routed(router):
    assert router.route(Question.ask("?")).target in router.heads.names
