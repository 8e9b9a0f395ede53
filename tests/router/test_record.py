from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forethought.errors import ArtifactError, DataError
from forethought.router import Router, load_fit, recalibrate, save_fit


@pytest.fixture(scope="module")
def run(fitted, planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fitted.router.save(folder / "router")
    save_fit(fitted, planted.data, folder / "fit", {"last": {"shared": {"layers": [2]}}})
    return folder


@pytest.fixture
def router(run, planted, prices):
    return Router.load(run / "router", prices=prices, encoder=planted.encoder)


def test_a_record_reads_back(run, router, fitted, planted):
    found = load_fit(run / "fit", router, planted.data)
    for part in ("train", "certify", "report", "folds"):
        np.testing.assert_array_equal(getattr(found.parts, part), getattr(fitted.parts, part))
    np.testing.assert_array_equal(found.head.out_of_fold, fitted.head.out_of_fold)
    np.testing.assert_array_equal(found.head.raw_out_of_fold, fitted.head.raw_out_of_fold)
    assert found.head.one_class == fitted.head.one_class
    assert found.best_single == fitted.best_single
    assert found.certified.path == fitted.certified.path
    assert found.certified.certificate.index == fitted.certified.certificate.index
    assert found.certified.summary()["path"] == fitted.certified.summary()["path"]


def test_a_record_follows_questions_into_another_order(run, router, planted):
    backwards = planted.data.take(np.arange(len(planted.data.questions))[::-1])
    data = replace(planted.data, questions=tuple(backwards))
    there, here = (load_fit(run / "fit", router, table) for table in (data, planted.data))
    assert [q.id for q in data.take(there.parts.report)] == [q.id for q in planted.data.take(here.parts.report)]


def test_a_record_of_another_router_is_refused(run, router, planted, tmp_path):
    router.manifest["note"] = "another"
    router.save(tmp_path / "other")
    with pytest.raises(ArtifactError, match="not the fit record"):
        load_fit(run / "fit", router, planted.data)


def test_a_missing_question_is_named(run, router, planted):
    fewer = replace(planted.data, questions=planted.data.questions[1:])
    with pytest.raises(DataError, match=r"'q0' of the fit .*1 are missing"):
        load_fit(run / "fit", router, fewer)


def shifted(planted, rows):
    """The same questions in a domain where every target but one fails four times as often."""
    data = planted.data
    fails = np.random.default_rng(8).random(data.success.shape) < 0.75
    success = np.where(fails & (np.arange(5) != 2), np.minimum(data.success, 0.0), data.success)
    kept = {name: value[rows] for name, value in vars(data).items() if isinstance(value, np.ndarray)}
    return replace(data, **{**kept, "questions": tuple(data.take(rows)), "success": success[rows]})


def test_recalibration_mends_the_level_in_a_new_domain(router, planted):
    from forethought.metrics import brier

    rows = np.arange(len(planted.questions))
    new, unseen = shifted(planted, rows[::2]), shifted(planted, rows[1::2])
    said = []
    moved = recalibrate(router, new, say=said.append)
    blocks = router.heads.features.read(unseen.stores, unseen.questions)
    before, after = (r.heads.scorer.predict_proba(blocks) for r in (router, moved))
    assert brier(unseen.success, after) < brier(unseen.success, before) - 0.05
    assert [line.split(":")[0] for line in said] == ["calibration before", "calibration after, on the same labels"]


def test_a_recalibrated_router_survives_a_round_trip_without_its_certificate(router, planted, tmp_path, prices):
    moved = recalibrate(router, shifted(planted, np.arange(60)))
    origin = router.artifact
    moved.save(tmp_path / "moved")
    loaded = Router.load(tmp_path / "moved", prices=prices, encoder=planted.encoder)
    assert "certificate" not in loaded.manifest
    assert loaded.manifest["recalibrated"] == {"from": origin, "n": 60}
    blocks = router.heads.features.read(planted.data.stores, planted.questions[:9])
    np.testing.assert_array_equal(loaded.heads.scorer.predict_proba(blocks), moved.heads.scorer.predict_proba(blocks))


def test_too_few_labels_are_refused(router, planted):
    with pytest.raises(DataError, match="19 labelled questions are too few"):
        recalibrate(router, shifted(planted, np.arange(19)))


def test_labels_of_other_targets_are_refused(router, planted):
    data = planted.assemble(config=planted.config.model_copy(update={"targets": ("north", "south")}))
    with pytest.raises(DataError, match="north, south; the router chooses between north, south, middling"):
        recalibrate(router, data)
