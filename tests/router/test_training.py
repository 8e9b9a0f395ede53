from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from forethought.activations import extract
from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes import components
from forethought.router import FitConfig, Router, fit_router

OTHER_HEADS = [
    {"head": "logistic", "text": False},
    {"head": "trunk", "text": False, "calibration": "temperature"},
    {"head": "stack", "text": False, "calibration": "isotonic"},
    {"head": "average", "text": True},
    {"head": "average", "text": False, "calibration": "isotonic"},
    {"head": "stack", "text": True, "calibration": "temperature", "policy": "utility"},
]


def routed_accuracy(fit, data, rows, policy=None):
    heads = fit.router.heads
    success = heads.scorer.predict_proba(heads.features.read(data.stores, data.take(rows)))
    choice = np.argmax(success, axis=1) if policy is None else policy.choose(success, np.zeros_like(success))
    return np.nanmean(data.success[rows, choice])


def test_routing_on_a_planted_signal_beats_the_best_single_target(fitted, dataset):
    report = fitted.parts.report
    single = np.nanmean(dataset.success[report, fitted.best_single])
    assert routed_accuracy(fitted, dataset, report) > single + 0.1


def test_the_planted_layer_is_chosen(fitted):
    assert fitted.layers["last"].shared.layers == (2,)


def test_parts_are_disjoint_and_whole(fitted, dataset):
    parts = fitted.parts
    rows = np.concatenate([parts.train, parts.certify, parts.report])
    assert sorted(rows) == list(range(len(dataset.questions)))
    assert len(parts.folds) == len(parts.train)
    component = components(dataset.questions)
    sides = [set(component[part]) for part in (parts.train, parts.certify, parts.report)]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_the_path_runs_from_safe_to_thrifty(fitted, dataset, planted):
    heads, train = fitted.router.heads, fitted.parts.train
    block = heads.features.read(dataset.stores, dataset.take(train))[0]
    cost = planted.prices.cost(
        heads.lengths.predict(dataset.encoder_tokens[train]), heads.tokens.predict_proba([block])
    )
    safe, *path = fitted.certified.path
    assert (safe.name, safe.setting) == ("single", {"index": fitted.best_single})
    chosen = [policy.choose(fitted.head.out_of_fold, cost) for policy in path]
    spent = [cost[np.arange(len(cost)), choice].mean() for choice in chosen]
    right = [np.nanmean(dataset.success[train, choice]) for choice in chosen]
    assert len(path) > 3
    assert spent == sorted(spent, reverse=True)
    assert right == sorted(right, reverse=True)


def test_the_certified_setting_is_the_last_that_passed(fitted):
    found = fitted.certified.certificate
    passed = int(np.argmax(~(found.p_values <= found.delta)))
    assert found.index == passed - 1
    assert fitted.router.policy == fitted.certified.path[passed]


def test_one_class_targets_are_named_and_served_by_their_base_rate(fitted):
    assert fitted.router.manifest["fit"]["one_class"] == ["hopeless"]
    assert fitted.head.out_of_fold[:, 4].max() < 0.05


def test_without_evidence_the_single_target_is_kept(planted):
    rng = np.random.default_rng(5)
    data = planted.data
    noise = np.where(np.isnan(data.success), np.nan, rng.integers(0, 2, data.success.shape))
    config = planted.config.model_copy(update={"tolerance": 0.0, "delta": 0.001, "text": False})
    fit = fit_router(replace(data, success=noise), config, planted.prices)
    assert fit.certified.summary()["verdict"] == "insufficient evidence"
    assert fit.certified.certificate.index is None
    assert fit.router.policy.name == "single"
    assert fit.router.policy.setting == {"index": fit.best_single}
    assert 0.5 < fit.certified.certificate.smallest_tolerance <= 1


@pytest.mark.parametrize("change", OTHER_HEADS, ids=lambda change: "-".join(map(str, change.values())))
def test_every_head_and_calibration_learns_and_survives_a_round_trip(planted, change, tmp_path):
    data = planted.data
    fit = fit_router(data, planted.config.model_copy(update=change), planted.prices)
    single = np.nanmean(data.success[fit.parts.report, fit.best_single])
    assert routed_accuracy(fit, data, fit.parts.report) > single + 0.05
    assert (fit.head.out_of_fold >= 0).all()
    assert (fit.head.out_of_fold <= 1).all()

    rows = data.take(fit.parts.report[:20])
    blocks = fit.router.heads.features.read(data.stores, rows)
    whole = fit.router.heads.scorer.predict_proba(blocks)
    alone = np.vstack([fit.router.heads.scorer.predict_proba([b[i : i + 1] for b in blocks]) for i in range(20)])
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-6)

    fit.router.save(tmp_path / "router")
    loaded = Router.load(tmp_path / "router", encoder=planted.encoder)
    fresh = loaded.heads.scorer.predict_proba(loaded.heads.features.encode(planted.encoder, rows))
    np.testing.assert_allclose(fresh, whole, rtol=1e-6)


def test_a_target_without_training_labels_is_named(planted):
    data = planted.data
    success = data.success.copy()
    success[:, 1] = np.nan
    with pytest.raises(DataError, match="south"):
        fit_router(replace(data, success=success), planted.config, planted.prices)


def test_missing_labels_stay_missing(planted):
    data = planted.data
    missing = np.isnan(data.success)
    assert missing[:, 3].mean() == pytest.approx(0.2, abs=0.07)
    assert not missing[:, [0, 1, 2, 4]].any()
    assert (data.trials[missing] == 0).all()


def test_questions_without_a_row_stay_with_masked_labels(planted):
    kept = planted.outcomes.filter(question_ids=[q.id for q in planted.questions[:50]])
    data = planted.assemble(outcomes=kept)
    assert len(data.questions) == len(planted.questions)
    assert np.isnan(data.success[50:]).all()
    assert not np.isnan(data.success[:50, 0]).any()


def test_assemble_names_an_unknown_target(planted):
    config = planted.config.model_copy(update={"targets": ("north", "east")})
    with pytest.raises(DataError, match="'east'"):
        planted.assemble(config=config)


def test_assemble_refuses_a_table_of_other_questions(planted, outcomes_of):
    with pytest.raises(DataError, match="none of the"):
        planted.assemble(outcomes=outcomes_of([Question.ask("elsewhere", id="z")]))


def test_the_same_config_gives_the_same_router(planted, fitted, tmp_path):
    config = planted.config.model_copy(update={"text": False})
    first, second = (fit_router(planted.data, config, planted.prices) for _ in range(2))
    assert first.router.save(tmp_path / "a") == second.router.save(tmp_path / "b")


def test_a_second_store_does_not_change_the_first_ones_fit(planted, make_encoder, tmp_path):
    foreign = extract(make_encoder("foreign", signal=0.0), planted.questions, tmp_path / "foreign")
    config = planted.config.model_copy(update={"text": False})
    both = planted.assemble(stores=(*planted.data.stores, foreign))
    alone = fit_router(planted.data, config, planted.prices)
    beside = fit_router(both, config, planted.prices)
    np.testing.assert_array_equal(alone.head.out_of_fold, beside.head.out_of_fold)


@pytest.mark.parametrize(
    "setting",
    [
        {"shares": (0.5, 0.5, 0.5)},
        {"trunk_keep": 3, "trunk_seeds": 2},
        {"calibration": "isotonic", "head": "trunk"},
        {"readouts": ()},
        {"tolerance": 1.0},
        {"delta": 0.0},
        {"folds": 2},
        {"head": "forest"},
        {"unknown": 1},
    ],
)
def test_config_refuses(setting):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        FitConfig(**setting)
