"""The commands on a run of their own, and the library on what they wrote."""

from __future__ import annotations

import json
import math
import tomllib

import pytest

from forethought.allocation import Argmax
from forethought.cli import main
from forethought.cli.settings import write_settings
from forethought.core import Question
from forethought.router import FitConfig, Router
from forethought.targets import LocalResponder
from forethought.targets.pool import read_pool


@pytest.fixture(scope="session")
def evaluated(run):
    main(["evaluate", str(run.folder), *run.inputs, "--draws=40"])
    return run


def load(run) -> Router:
    pool = read_pool(run.pool)
    return Router.load(run.folder / "router", prices=pool.prices, encoder_price=pool.encoder.price)


def test_fit_writes_settings_that_load_back_to_the_same_run(run, tmp_path, call):
    again = tmp_path / "fit.toml"
    text = (run.folder / "fit.toml").read_text()
    again.write_text(text.replace(f'out = "{run.folder}"', f'out = "{tmp_path}"'))
    call("fit", "--config", again)
    here, there = (Router.load(folder / "router") for folder in (run.folder, tmp_path))
    assert FitConfig(**here.manifest["config"]) == FitConfig(**there.manifest["config"])
    assert here.artifact == there.artifact
    mine, theirs = (tomllib.loads((folder / "fit.toml").read_text())["fit"] for folder in (run.folder, tmp_path))
    assert {**mine, "out": ""} == {**theirs, "out": ""}


def test_every_setting_survives_the_file(tmp_path):
    config = FitConfig(
        targets=("a", 'b "quoted"'), label="rate", k=3, head="stack", layers="fisher", readouts=("eoi[-1]", "mean"),
        text=False, calibration="isotonic", trunk_seeds=4, trunk_keep=2, policy="utility", tolerance=0.125, delta=0.05,
        shares=(0.25, 0.25, 0.5), folds=7, seed=11,
    )  # fmt: skip
    assert not [name for name, value in config if value == getattr(FitConfig(), name) and name != "head"]
    write_settings(tmp_path / "fit.toml", "fit", config.model_dump())
    assert FitConfig(**tomllib.loads((tmp_path / "fit.toml").read_text())["fit"]) == config


def test_a_flag_wins_over_the_file(run, refused, tmp_path):
    (tmp_path / "fit.toml").write_text('[fit]\nout = "x"\ntolerance = 0.5\n')
    assert "got '3'" in refused("fit", "--config", tmp_path / "fit.toml", "--tolerance", "3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[fit]\nout = "x"\nnope = 1\n', "nope"),
        ('[fitt]\nout = "x"\n', "unknown table 'fitt'"),
        ("tolerance = 0.1\n", "unknown table 'tolerance'"),
        ("[fit\n", "is not TOML"),
        ('[fit]\nout = "x"\ntolerance = "much"\n', "tolerance"),
    ],
)
def test_a_wrong_file_is_refused(refused, tmp_path, text, said):
    (tmp_path / "fit.toml").write_text(text)
    assert said in refused("fit", "--config", tmp_path / "fit.toml")


def test_a_file_of_one_call_does_not_linger(refused, tmp_path):
    (tmp_path / "fit.toml").write_text('[fit]\nout = "x"\nnope = 1\n')
    assert "nope" in refused("fit", "--config", tmp_path / "fit.toml")
    assert "nope" not in refused("fit", tmp_path)


def test_fit_prints_json(run, call_json, tmp_path):
    store = run.folder / "activations"
    found = call_json("fit", tmp_path, "--activations", store, *run.inputs, "--folds=3", "--no-text")
    assert found["n"]["train"] + found["n"]["certify"] + found["n"]["report"] == 240
    assert found["certificate"]["verdict"] in ("certified", "insufficient evidence")
    assert found["one_class"] == ["hopeless"]


def test_the_command_decides_as_the_library_does(run, call_json):
    router = load(run)
    for text in ("question 1 on a river", "question 7 on a metal planet verb", "[/bold] odd [x] text"):
        found = call_json("route", text, "--router", run.folder / "router", f"--pool={run.pool}", "--explain")
        decision = router.route(Question.ask(text))
        assert found[0]["decision"]["target"] == decision.target
        assert found[0]["decision"]["reason"] == decision.reason
        assert found[0]["decision"]["artifact"] == decision.artifact
        for told, held in zip(found[0]["decision"]["predictions"], decision.predictions, strict=True):
            assert told["target"] == held.target
            assert math.isclose(told["success"], held.success, rel_tol=1e-6)


def test_explaining_calls_no_target(run, call, monkeypatch):
    def called(*_):
        raise AssertionError("a target was called")

    monkeypatch.setattr(LocalResponder, "respond", called)
    flags = ("--router", run.folder / "router", f"--pool={run.pool}")
    shown = call("route", "question 1", *flags, "--explain")
    assert "why" in shown
    assert "  answer    " not in shown
    with pytest.raises(AssertionError, match="was called"):
        call("route", "question 1", *flags)


def test_routing_answers_with_the_chosen_target(run, call_json):
    found = call_json("route", "question 1", "two [b]", "--router", run.folder / "router", f"--pool={run.pool}")
    assert [record["question"] for record in found] == ["question 1", "two [b]"]
    assert all(isinstance(record["answer"], str) for record in found)


def test_an_unpriced_target_is_named(run, refused, tmp_path):
    pool = tmp_path / "pool.toml"
    pool.write_text(run.pool.read_text().replace('name = "south"', 'name = "west"'))
    assert "no prices for south" in refused("route", "q", "--router", run.folder / "router", "--pool", pool)


def test_evaluation_writes_its_files(evaluated):
    found = json.loads((evaluated.folder / "evaluation.json").read_text())
    assert found["about"]["artifact"] == load(evaluated).artifact
    assert "forethought" in {card["name"] for card in found["cards"]}
    page = (evaluated.folder / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")


def test_report_writes_a_page_and_projects_savings(evaluated, call_json, tmp_path):
    source = evaluated.folder / "evaluation.json"
    assert call_json("report", source, "--out", tmp_path / "r.html")["path"] == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size > 10_000
    few, many = (call_json("report", source, "--roi", "--queries", n) for n in (1000, 3000))
    assert [row["point"] for row in few] == [row["point"] for row in many]
    for a, b in zip(few, many, strict=True):
        assert b["baseline_usd"] == pytest.approx(3 * a["baseline_usd"])
        assert b["saved_share"]["value"] == pytest.approx(a["saved_share"]["value"])


def test_calibrate_writes_a_router_that_routes(run, call, call_json, tmp_path):
    store = run.folder / "activations"
    call("calibrate", run.folder / "router", tmp_path / "moved", *run.inputs, "--activations", store)
    found = call_json("route", "q", "--router", tmp_path / "moved", f"--pool={run.pool}", "--explain")
    assert found[0]["decision"]["artifact"] == Router.load(tmp_path / "moved").artifact != load(run).artifact


def test_collect_prints_json_and_resumes(run, call_json, tmp_path, tiny_model):
    flags = (tmp_path / "c", f"--questions={run.questions}", f"--pool={run.pool}", "--targets", "north", "--limit=6")
    found = call_json("collect", *flags)
    assert found["targets"][0]["target"] == "north"
    assert found["targets"][0]["n"] == 6
    written = (tmp_path / "c" / "outcomes.parquet").read_bytes()
    assert call_json("collect", *flags) == found
    assert (tmp_path / "c" / "outcomes.parquet").read_bytes() == written


def test_extract_prints_json_and_keeps_what_is_there(run, call_json):
    flags = (run.folder / "activations", f"--questions={run.questions}", f"--pool={run.pool}", "--layers", 1, 3)
    before = {path: path.stat().st_mtime_ns for path in (run.folder / "activations" / "shards").iterdir()}
    found = call_json("extract", *flags)
    assert (found["questions"], found["layers"]) == (240, [1, 3])
    assert {"last", "mean"} <= set(found["readouts"])
    assert before == {path: path.stat().st_mtime_ns for path in (run.folder / "activations" / "shards").iterdir()}


def test_a_store_of_other_layers_is_refused(run, refused):
    flags = (run.folder / "activations", f"--questions={run.questions}", f"--pool={run.pool}", "--layers", 2)
    assert "layers is (1, 3), not (2,)" in refused("extract", *flags)


def test_a_fit_record_of_another_router_is_refused(run, refused, tmp_path):
    for name in ("router", "fit", "activations"):
        (tmp_path / name).symlink_to(run.folder / name)
    (tmp_path / "router").unlink()
    load(run).with_policy(Argmax()).save(tmp_path / "router")
    assert "not the fit record" in refused("evaluate", tmp_path, *run.inputs)


def test_models_are_listed(call_json, tmp_path):
    found = call_json("models", "list", "--cache", tmp_path)
    assert {"smollm2-135m-instruct", "gemma-3-270m"} <= {model["name"] for model in found}
    assert not any(model["installed"] for model in found)
