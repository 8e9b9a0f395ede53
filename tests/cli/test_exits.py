"""`forethought exits`: all four verbs on a tiny random model, and what is said where they cannot run."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file

from forethought.artifacts import load_artifact, save_artifact
from forethought.cli import main
from forethought.cli.exit_answer import STYLES, WHOLE, DepthColours, DepthWriter, end_text
from forethought.cli.exit_flags import BoundFlags, ExitFlags, GateFlags, RolloutFlags, SharpenFlags, TrainingFlags
from forethought.cli.exit_table import _percent, _points
from forethought.core import DecodingPolicy, Question
from forethought.early_exit import exit_run
from forethought.early_exit.calibration import CalibrationConfig
from forethought.early_exit.exit_run import Calibration, Certification, Reinforcement
from forethought.early_exit.gates import GateFitConfig
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.reinforcement import ReinforcementConfig
from forethought.early_exit.saved import SavedExits
from forethought.metrics import Interval
from forethought.models import load
from forethought.questions import write_questions

LENIENT = ("--tolerance", "0.9", "--delta", "0.5")
"""A bound that a dozen questions can show."""


class Made(NamedTuple):
    """What the module's own run wrote."""

    exits: Path
    questions: Path
    report: dict[str, Any]

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.exits, folder))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("asked") / "questions.jsonl"
    write_questions(path, [Question.ask(f"What follows {n}?", answers=(str(n + 1),), group="n") for n in range(120)])
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_model, questions) -> Made:
    out = tmp_path_factory.mktemp("exits") / "exits"
    main(["exits", "calibrate", str(out), *calibrating(tiny_model, questions)])
    return Made(out, questions, dict(SavedExits.read(out).report))


def calibrating(model: Path, questions: Path, steps: int = 4) -> list[str]:
    flags = ["--model", str(model), "--questions", str(questions), "--layers", "1", "2", "--map-rank", "2"]
    return [*flags, "--steps", str(steps), "--batch", "6", "--samples", "1", "--max-tokens", "6", *LENIENT]


def test_calibration_writes_an_artifact_that_says_everything_a_later_run_needs(made, tiny_model):
    saved = SavedExits.read(made.exits)
    assert (saved.model, saved.n_layers, saved.layers) == (str(tiny_model), 3, (1, 2))
    report = made.report
    assert report["stage"] == "calibrate"
    assert report["calibrate"]["steps"] == 4
    assert report["calibrate"]["samples"] == 1
    assert report["calibrate"]["temperature"] == 0.0
    assert set(report["last"]) >= {"divergence", "agreement", "mean_depth"}
    sizes = [report["questions"][part]["n"] for part in ("train", "certify", "test")]
    assert sum(sizes) == 120
    assert sizes[1] == report["certificate"]["n"] >= 10
    assert report["threshold"] == report["certificate"]["threshold"] == saved.threshold
    assert saved.threshold is not None
    assert saved.policy.max_tokens == 6
    assert not (made.exits.parent / "exits.work" / "calibrate").exists()


def test_reinforcement_starts_from_exits_and_certifies_anew(made, call_json, tmp_path):
    flags = ("--steps", "3", "--prompts", "4", "--group", "2", "--lambda", "0.25", *LENIENT)
    told = call_json("exits", "reinforce", made.exits, tmp_path / "more", *flags)
    saved = SavedExits.read(tmp_path / "more")
    assert told["exits"] == str(tmp_path / "more")
    assert told["threshold"] == saved.threshold
    assert saved.report["stage"] == "reinforce"
    assert saved.report["reinforce"]["price"] == 0.25
    assert saved.report["start"]["hash"] == SavedExits.read(made.exits).hash
    assert saved.report["questions"] == made.report["questions"]
    assert set(saved.report["last"]) >= {"reward", "accuracy", "mean_depth"}
    assert tensors(made.exits).keys() == tensors(tmp_path / "more").keys()
    assert any((tensors(made.exits)[name] != new).any() for name, new in tensors(tmp_path / "more").items())


def tensors(exits: Path) -> dict[str, Any]:
    return dict(load_file(exits / "tensors.safetensors"))


def test_half_precision_is_what_is_stored(tiny_model, questions, call_json, tmp_path):
    call_json("exits", "calibrate", tmp_path / "half", *calibrating(tiny_model, questions), "--half")
    assert {str(tensor.dtype) for tensor in tensors(tmp_path / "half").values()} == {"float16"}


@pytest.mark.parametrize("stage", ["calibrate", "reinforce"])
def test_a_killed_run_goes_on_to_the_same_exits(stage, made, tiny_model, tmp_path, monkeypatch, capsys):
    def words(out: str) -> list[str]:
        if stage == "calibrate":
            return ["exits", stage, str(tmp_path / out), *calibrating(tiny_model, made.questions, 28)]
        flags = ["--steps", "28", "--prompts", "2", "--group", "2", *LENIENT]
        return ["exits", stage, str(made.exits), str(tmp_path / out), *flags]

    def killed(progress: Any, label: str, figures: Any, steps: int, shown: Any) -> Any:
        for _ in range(27):
            next(figures)
        raise KeyboardInterrupt

    main(words("whole"))
    whole = exit_run.followed
    with monkeypatch.context() as patched:
        patched.setattr(exit_run, "followed", killed)
        with pytest.raises(SystemExit) as stopped:
            main(words("cut"))
    assert stopped.value.code == 130
    assert not (tmp_path / "cut").exists()
    taken: list[dict[str, float]] = []

    def counted(progress: Any, label: str, figures: Any, steps: int, shown: Any) -> Any:
        return whole(progress, label, (taken.append(step) or step for step in figures), steps, shown)

    monkeypatch.setattr(exit_run, "followed", counted)
    capsys.readouterr()
    main(words("cut"))
    assert "goes on from step 25 of 28, where a killed run was" in flat(capsys.readouterr().err)
    assert [step["step"] for step in taken] == [25, 26, 27]
    for name, tensor in tensors(tmp_path / "whole").items():
        assert (tensor == tensors(tmp_path / "cut")[name]).all(), name
    cut, uncut = (SavedExits.read(tmp_path / name).report for name in ("cut", "whole"))
    assert cut["certificate"] == uncut["certificate"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("stage", ["calibrate", "reinforce"])
def test_finished_exits_are_not_replaced_unless_that_is_stated(stage, made, tiny_model, tmp_path, refused, capsys):
    out = made.copy(tmp_path / "exits")
    before = contents(out)
    if stage == "calibrate":
        words = ["exits", stage, str(out), *calibrating(tiny_model, made.questions, 5)]
    else:
        words = ["exits", stage, str(made.exits), str(out), "--steps", "1", "--prompts", "2", "--group", "2", *LENIENT]
    said = refused(*words)
    assert f"{out} holds finished exits (stage calibrate): nothing was changed" in said
    assert "--overwrite" in said
    assert contents(out) == before
    main([*words, "--overwrite"])
    assert f"the exits in {out} are replaced once the new ones are done" in flat(capsys.readouterr().err)
    assert SavedExits.read(out).report[stage]["steps"] == (5 if stage == "calibrate" else 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    words[2 if stage == "calibrate" else 3] = str(tmp_path / "mine")
    assert "is there and holds no exits" in refused(*words, "--overwrite")
    assert contents(tmp_path / "mine") == {"notes.txt": b"mine"}


def flat(text: str) -> str:
    """What was printed, whatever the width it was wrapped at."""
    return " ".join(text.split())


def test_a_checkpoint_of_other_settings_is_not_gone_on_with(made, tiny_model, tmp_path, monkeypatch, refused):
    words = ["exits", "calibrate", str(tmp_path / "cut"), *calibrating(tiny_model, made.questions)]
    with monkeypatch.context() as patched:
        patched.setattr(exit_run, "followed", lambda progress, label, figures, steps, shown: list(figures) and int(""))
        with pytest.raises(ValueError, match="invalid literal"):
            main(words)
    assert "is of a run with other settings" in refused(*words, "--seed", "5")


ASK = ("exits", "generate", "What follows 3?", "--max-tokens", "9")


def test_an_answer_tells_each_tokens_text_and_depth(made, call_json):
    found = call_json(*ASK, "--exits", made.exits, "--threshold", "0")
    assert found["depths"] == [3] + [1] * (len(found["depths"]) - 1)
    assert len(found["tokens"]) == len(found["depths"]) <= 9
    assert "".join(found["tokens"]).strip() == found["text"]
    assert found["mean_depth"] == 1
    assert 0 < found["macs_saved"] < 1


def test_the_certified_threshold_is_the_default(made, call_json):
    own = call_json(*ASK, "--exits", made.exits)
    stated = call_json(*ASK, "--exits", made.exits, "--threshold", made.report["threshold"])
    assert (own["text"], own["depths"]) == (stated["text"], stated["depths"])


def test_where_nothing_could_be_certified_the_unmodified_model_answers(made, tiny_model, call_json, tmp_path, capsys):
    strict = ["--tolerance", "0.001", "--delta", "0.001"]
    call_json("exits", "calibrate", tmp_path / "safe", *calibrating(tiny_model, made.questions)[:-4], *strict)
    assert SavedExits.read(tmp_path / "safe").threshold is None
    found = call_json(*ASK, "--exits", tmp_path / "safe", "--compare")
    assert found["unmodified"]["same"]
    assert set(found["depths"]) == {3}


def test_without_colours_every_token_has_its_layers_behind_it(made, call, call_json):
    shown, last = call(*ASK, "--exits", made.exits, "--threshold", "0").rsplit("\n", 2)[:2]
    found = call_json(*ASK, "--exits", made.exits, "--threshold", "0")
    safe = [re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text) for text in found["tokens"]]
    expected = "".join(f"{text}[{depth}]" for text, depth in zip(safe, found["depths"], strict=True))
    assert shown == expected
    told = r"9 tokens, 1\.0 of 3 layers a token, \d+\.\d% of MACs saved, \d+\.\d\d s, threshold 0(\.\d+)?"
    assert re.fullmatch(told, last)


@pytest.mark.parametrize("draft", [1, 3])
def test_speculation_gives_the_unmodified_answer(made, call_json, call, draft):
    found = call_json(*ASK, "--exits", made.exits, "--speculate", draft, "--compare")
    assert found["unmodified"]["same"]
    shown = call(*ASK, "--exits", made.exits, "--speculate", draft, "--compare")
    assert re.search(r"\d+ drafted, \d+ of them accepted in \d+ checks", shown)
    assert "the same text" in shown


def test_nothing_is_drafted_that_no_gate_is_sure_of(made, call):
    shown = call(*ASK, "--exits", made.exits, "--speculate", "3", "--threshold", "1")
    assert "9 tokens of the unmodified model, 0 drafted, 0 of them accepted in 8 checks, 0.0% of layer calls" in shown
    assert "few drafts: drafts come from the unmodified model, and the gates, which learned the adapted one's" in shown
    assert "--draft-layer N drafts always, below the exit before layer 1, 2;" in shown


@pytest.mark.parametrize("layer", [1, 2])
def test_a_layer_drafts_always_and_the_answer_stays_the_unmodified_ones(made, call, call_json, layer):
    drafted = (*ASK, "--exits", made.exits, "--speculate", "2", "--draft-layer", layer)
    found = call_json(*drafted, "--compare")
    assert found["unmodified"]["same"]
    shown = call(*drafted)
    drafts, checks = map(int, re.search(r"(\d+) drafted, \d+ of them accepted in (\d+) checks", shown).groups())  # type: ignore[union-attr]
    assert 2 * checks - 3 <= drafts <= 2 * checks  # the last ones may have less room
    assert "few drafts" not in shown
    assert found["saved"]["layer_calls"] == pytest.approx(
        1 - found["totals"]["layer_calls"] / found["unmodified"]["totals"]["layer_calls"]
    )
    unsure = call(*drafted, "--threshold", "1")
    assert " 0 drafted" in unsure  # where a threshold is stated, it holds at that layer


def test_both_answers_are_totalled_after_a_warm_up(made, call, call_json):
    asked = (*ASK, "--exits", made.exits, "--threshold", "0", "--compare")
    found = call_json(*asked)
    ours, whole, saved = found["totals"], found["unmodified"]["totals"], found["saved"]
    assert ours["tokens"] == len(found["depths"])
    assert ours["layers"] == ours["layer_calls"] == sum(found["depths"][1:]) == ours["tokens"] - 1
    assert whole["layers"] == 3 * (whole["tokens"] - 1)
    assert found["macs_saved"] == pytest.approx(saved["macs"])  # of answers of one length
    assert saved["layers"] == pytest.approx(2 / 3)
    assert saved["seconds"] == pytest.approx(1 - ours["seconds"] / whole["seconds"])
    header, mine, plain, spared = call(*asked).splitlines()[-6:-2]
    assert header.split() == ["tokens", "layers", "MACs", "seconds"]
    assert mine.split()[:4] == ["with", "exits", "9", "8"]
    assert plain.split()[:3] == ["unmodified", "9", "24"]
    assert spared.split()[:2] == ["saved", "66.7%"]


def test_nobody_sees_the_warm_up(made, call):
    alone = call(*ASK, "--exits", made.exits, "--threshold", "0")
    compared = call(*ASK, "--exits", made.exits, "--threshold", "0", "--compare")
    assert compared.splitlines()[0] == alone.splitlines()[0]


def test_the_token_that_ends_an_answer_is_named(call, call_json, tmp_path, tiny_model):
    model = ExitModel(load("arithmetic-small"), ExitConfig((2, 4)))
    model.save(tmp_path / "exits", report={"threshold": None, "policy": asdict(DecodingPolicy(max_tokens=64))})
    ask = ("exits", "generate", "37+58-4=", "--exits", tmp_path / "exits")
    assert call(*ask).splitlines()[0].endswith("9[6]1[6]<eos>[6]")
    found = call_json(*ask)
    assert (found["tokens"][-1], found["text"][-2:]) == ("", "91")
    drafted = call(*ask, "--speculate", "2", "--draft-layer", "4")
    assert drafted.splitlines()[0].endswith("9[6]1[6]<eos>[6]")
    tokenizer = load(tiny_model).tokenizer
    blank = next(i for i in range(len(tokenizer)) if not tokenizer.decode([i]).strip())
    assert end_text(tokenizer, blank) == "<end>"


def test_what_rounds_to_nothing_has_no_sign():
    nothing = Interval(-0.0004, -0.0126, 0.0003, 40)
    assert _percent(nothing) == "0.0% [\u22121.3%, 0.0%]"
    assert _points(nothing) == "+0.0 [\u22121.3, +0.0]"


def test_what_is_certified_is_said_where_it_is_relied_on(call):
    shown = flat(call("exits", "generate", "--help"))
    assert "short factual ones" in shown


def test_sampling_follows_the_seed(made, call_json):
    flags = (*ASK, "--exits", made.exits, "--temperature", "1.5", "--threshold", "0.5")
    texts = [call_json(*flags, "--seed", seed)["text"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def written(**console: Any) -> str:
    out = io.StringIO()
    writer = DepthWriter(Console(file=out, width=80, **console), DepthColours((2, 3, 4), 6))
    writer.begin()
    for piece, depth in (("It", 6), (" is", 2), (" [b]", 4)):
        writer.add(piece, depth)
    writer.end()
    return out.getvalue()


def test_a_terminal_shows_depth_as_colour_under_a_legend():
    green, blue, grey = "\x1b[32m", "\x1b[94m", "\x1b[90m"
    legend, text = written(force_terminal=True, color_system="standard", no_color=False).splitlines()
    assert f"{green}2\x1b[0m" in legend
    assert f"{grey}6 (all)\x1b[0m" in legend
    assert text == f"{grey}It\x1b[0m{green} is\x1b[0m{blue} [b]\x1b[0m"


def test_no_color_and_no_terminal_show_numbers():
    plain = "It[6] is[2] [b][4]\n"
    assert written(force_terminal=False) == plain
    assert written(force_terminal=True, no_color=True) == plain


@pytest.mark.parametrize("layers", [(1,), (1, 2), (5, 10, 15, 20, 25), tuple(range(1, 30))], ids=len)
def test_colours_go_from_shallow_to_deep(layers):
    colours = DepthColours(layers, 30)
    order = [(*STYLES, WHOLE).index(colours.style(depth)) for depth in (*layers, 30)]
    assert order == sorted(order)
    assert order[0] == 0
    assert order[-1] == len(STYLES)
    assert colours.legend().plain.endswith("30 (all)")


def test_rules_are_compared_on_questions_that_nothing_was_made_from(made, call_json, tmp_path):
    page = tmp_path / "page.html"
    found = call_json("exits", "evaluate", made.exits, "--thresholds", "0", "0.5", "--html", page)
    assert found["n"] == made.report["questions"]["test"]["n"]
    assert found["served"] == f"threshold {made.report['threshold']:g}"
    rules = found["rules"]
    assert list(rules)[:2] == ["unmodified", "full depth, adapted"]
    assert {"threshold 0", "threshold 0.5", "static 1", "static 2", "softmax gap 0.9", found["served"]} <= set(rules)
    for same in ("accuracy", "mean_depth", "exact_match", "agreement"):
        assert rules["threshold 0"][same] == rules["static 1"][same]
    assert rules["static 1"]["mean_depth"]["value"] == 1
    assert rules["static 1"]["depths"].keys() == {"1"}
    assert rules["unmodified"]["macs_saved"]["value"] == 0
    text = page.read_text()
    assert text.count('<article class="answer">') == 24
    assert "layer 3 of 3" in text
    assert found["served"] in text


def test_the_table_fits_a_terminal_and_says_what_it_is_of(made, tmp_path, capsys):
    def shown(*flags: object) -> tuple[str, str]:
        capsys.readouterr()
        main(["exits", "evaluate", str(made.exits), "--thresholds", "0.5", *map(str, flags)])
        out, err = capsys.readouterr()
        return out, flat(err)

    out, err = shown("--limit", "6")
    assert "Exits on 6 questions" in out
    assert "n = 6; points of accuracy lost" in out
    known = made.report["questions"]["test"]["n"]
    assert f"--limit: 6 of the {known} questions of test part of" in err
    other = tmp_path / "other.jsonl"
    write_questions(other, [Question.ask(f"Is {n} even?", answers=("yes",)) for n in range(5)])
    out, err = shown("--questions", other, "--limit", "5")
    assert "Exits on 5 questions" in out
    assert "--limit" not in err  # all of them
    assert f"--limit 9: there are only 5 questions in {other}" in shown("--questions", other, "--limit", "9")[1]


def changed(exits: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write an artifact's manifest anew, seal included, as another release might have."""
    manifest, found, _ = load_artifact(exits)
    kept = {name: manifest[name] for name in ("kind", "config", "model", "report")}
    change(kept)
    save_artifact(exits, kept, found)


def test_exits_of_another_model_or_depth_are_refused(made, refused, tmp_path):
    ask = (*ASK, "--exits", tmp_path / "exits")
    made.copy(tmp_path / "exits")
    changed(tmp_path / "exits", lambda manifest: manifest["model"].update(weights="0" * 64))
    assert "with weights 000000000000..." in refused(*ask)
    changed(tmp_path / "exits", lambda manifest: manifest["model"].update(layers=30))
    assert "was made for 30 layers of width 32" in refused(*ask)
    changed(tmp_path / "exits", lambda manifest: manifest["model"].update(name="nobody"))
    assert "no model 'nobody'" in refused(*ask)
    changed(tmp_path / "exits", lambda manifest: manifest.update(kind="router"))
    assert "holds 'router', not exits" in refused(*ask)


def test_exits_that_say_too_little_are_refused(made, refused, tmp_path):
    exits = made.copy(tmp_path / "exits")
    changed(exits, lambda manifest: manifest["report"].pop("threshold"))
    assert "states no threshold" in refused(*ASK, "--exits", exits)
    changed(exits, lambda manifest: manifest["report"].pop("questions"))
    assert "name --questions" in refused("exits", "evaluate", exits)
    assert "does not say which questions" in refused("exits", "reinforce", exits, tmp_path / "new")
    changed(exits, lambda manifest: manifest["report"].pop("policy"))
    assert "under which policy" in refused("exits", "evaluate", exits, "--questions", made.questions)


def test_questions_that_changed_are_not_taken_for_those_of_the_exits(made, refused, tmp_path):
    exits, kept = made.copy(tmp_path / "exits"), made.questions.read_text()
    made.questions.write_text(kept.replace("follows 7?", "comes after 7?"))
    try:
        assert "are not those that were dealt before" in refused("exits", "evaluate", exits)
    finally:
        made.questions.write_text(kept)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["calibrate", "x", "--model", "nobody"], "no model 'nobody'"),
        (["calibrate", "x", "--layers", "2", "3"], "need a deeper model"),
        (["calibrate", "x", "--layers", "2", "1"], "rising layers"),
        (["calibrate", "x", "--gate-units", "-1"], "gate_units and map_rank must be >= 0"),
        (["calibrate", "x", "--whole", "1.5"], "explore and whole in [0, 1], got 1.0, 1.0, 0.1 and 1.5"),
        (["calibrate", "x", "--layers", "0"], "rising layers >= 1"),
        (["calibrate", "x", "--every", "3"], "an exit every 3 layers leaves none in a model of 3"),
        (["calibrate", "x", "--every", "1", "--layers", "1"], "name one of them"),
        (["calibrate", "x", "--steps", "0"], "steps and batch must be >= 1, got 0"),
        (["calibrate", "x", "--samples", "0"], "samples must be >= 1"),
        (["calibrate", "x", "--tolerance", "1"], "tolerance and delta must lie in (0, 1)"),
        (["calibrate", "x", "--gate", "forest"], "forest"),
        (["calibrate", "x", "--questions", "absent.jsonl"], "absent.jsonl"),
        (["calibrate", "x", "--limit", "0"], "limit must be >= 1, got 0"),
        (["calibrate", "x", "--max-tokens", "600"], "leaves no room in a window of 512"),
        (["reinforce", "absent", "x"], "absent is no artifact"),
        (["reinforce", "EXITS", "EXITS"], "name another folder"),
        (["reinforce", "EXITS", "x", "--lambda", "-1"], "price, beta and anchor must be >= 0"),
        (["reinforce", "EXITS", "x", "--group", "1"], "group >= 2, got 120, 16 and 1"),
        (["generate", "hello", "--exits", "absent"], "absent is no artifact"),
        (["generate", "hello", "--exits", "EXITS", "--threshold", "1.5"], "must lie in [0, 1], got 1.5"),
        (["generate", "hello", "--exits", "EXITS", "--threshold", "nan"], "must lie in [0, 1], got nan"),
        (["generate", " ", "--exits", "EXITS"], "the question ' ' is empty"),
        (["generate", "hello", "--exits", "EXITS", "--draft-layer", "1"], "state --speculate N"),
        (
            ["generate", "hello", "--exits", "EXITS", "--speculate", "2", "--draft-layer", "3"],
            "no exit before layer 3: there are [1, 2]",
        ),
        (["calibrate", "x", "--ridge", "0"], "ridge must be > 0, got 0"),
        (["calibrate", "x", "--gate-epochs", "0"], "epochs and batch must be >= 1"),
        (["calibrate", "x", "--thresholds", "0.5", "0.9"], "thresholds must fall"),
        (["reinforce", "EXITS", "x", "--sharpen", "1"], "must lie in (0, 1) and the sharpness"),
        (["reinforce", "EXITS", "x", "--anchor", "-1"], "price, beta and anchor must be >= 0"),
        (["generate", "hello", "--exits", "EXITS", "--max-tokens", "0"], "max_tokens must be >= 1"),
        (["generate", "hello", "--exits", "EXITS", "--max-tokens", "512"], "leaves no room in a window of 512"),
        (["generate", "hello", "--exits", "EXITS", "--temperature", "-1"], "temperature must be >= 0"),
        (["generate", "hello", "--exits", "EXITS", "--speculate", "0"], "length >= 1"),
        (["generate", "hello", "--exits", "EXITS", "--speculate", "2", "--temperature", "1"], "temperature must be 0"),
        (
            ["generate", "hello", "--exits", "EXITS", "--speculate", "2", "--threshold", "2"],
            "must lie in [0, 1], got 2",
        ),
        (["evaluate", "absent"], "absent is no artifact"),
        (["evaluate", "EXITS", "--thresholds", "0.5", "2"], "must lie in [0, 1], got 2.0"),
        (["evaluate", "EXITS", "--questions", "absent.jsonl"], "absent.jsonl"),
        (["evaluate", "EXITS", "--limit", "0"], "limit must be >= 1, got 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_one_line(made, tiny_model, refused, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [str(made.exits) if word == "EXITS" else word for word in words]
    if words[0] == "calibrate":
        given += [] if "--model" in words else ["--model", str(tiny_model)]
        given += [] if "--questions" in words else ["--questions", str(made.questions)]
    assert said in refused("exits", *given)


def test_a_target_of_a_pool_may_have_exits(made, tiny_model, call_json, capsys, tmp_path):
    pool = tmp_path / "pool.toml"

    def asked(**exits: object) -> tuple[object, ...]:
        pool.write_text(
            f'[[target]]\nname = "deep"\nmodel = "{tiny_model}"\npolicy = {{ max_tokens = 6 }}\n'
            f"exits = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in exits.items())} }}\n"
        )
        return "route", "What follows 3?", "--target", "deep", "--pool", pool

    [found] = call_json(*asked(path=str(made.exits), threshold=0))
    flags = ("--exits", made.exits, "--max-tokens", "6", "--threshold", "0")
    assert found["answer"] == call_json("exits", "generate", "What follows 3?", *flags)["text"]
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in asked(path=str(tmp_path / "absent"))])
    assert stopped.value.code == 2
    assert "absent is no artifact" in capsys.readouterr().err


def test_a_target_with_exits_does_not_vote_in_one_generation(made, tiny_model, call_json, capsys, tmp_path):
    pool = tmp_path / "pool.toml"
    pool.write_text(
        f'[[target]]\nname = "deep"\nmodel = "{tiny_model}"\npolicy = {{ max_tokens = 6 }}\n'
        f"exits = {{ path = {json.dumps(str(made.exits))}, threshold = 0 }}\n"
    )
    voting = ("route", "What follows 3?", "--target", "deep", "--vote", "majority", "--pool", pool)
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in (*voting, "--in-one")])
    assert stopped.value.code == 2
    assert "target 'deep' has exits: --in-one computes every token in full" in capsys.readouterr().err
    [found] = call_json(*voting, "--vote-setting.cap", "2")
    assert found["vote"]["spent"]["samples"] == 2


def test_what_is_stated_of_exits_and_training_is_what_is_made(tiny_model, questions, call_json, tmp_path):
    exits = ("--gate", "mlp", "--gate-units", "5", "--adapted", "all", "--adapter-rank", "3")
    rates = ("--adapter-rate", "0.002", "--head-rate", "0.004")
    shares = ("--whole", "0.5", "--explore", "0.25", "--kappa", "2")
    gates = ("--gate-epochs", "2", "--gate-batch", "9", "--gate-fit-rate", "0.003", "--gate-decay", "0.5")
    rest = ("--ridge", "0.1", "--reduced", "--gate-answers", "greedy", "--thresholds", "0.9", "0.4")
    out = tmp_path / "exits"
    flags = (*exits, *rates, *shares, *gates, *rest)
    told = call_json("exits", "calibrate", out, *calibrating(tiny_model, questions), *flags)
    config = load_artifact(out)[0]["config"]
    named = ("gate", "gate_units", "adapted", "adapter_rank")
    assert [config[name] for name in named] == ["mlp", 5, "all", 3]
    stated = {"adapter_rate": 0.002, "head_rate": 0.004, "whole": 0.5, "explore": 0.25, "kappa": 2.0}
    assert told["calibrate"].items() >= {**stated, "ridge": 0.1, "reduced": True}.items()
    fit = {"epochs": 2, "batch": 9, "rate": 0.003, "decay": 0.5, "seed": 0, "answers": "greedy"}
    assert told["gates"] == fit
    assert told["certificate"]["thresholds"] == [0.9, 0.4]
    more = ("--steps", "1", "--prompts", "2", "--group", "2", "--adapter-rate", "0.001", "--gate-rate", "0.002")
    more += ("--anchor", "0.5", "--temperature", "0.7", "--reduced", "--sharpen", "0.95", "--sharpness", "3")
    told = call_json("exits", "reinforce", out, tmp_path / "more", *more, *LENIENT)
    stated = {"adapter_rate": 0.001, "gate_rate": 0.002, "anchor": 0.5, "temperature": 0.7, "reduced": True}
    assert told["reinforce"].items() >= stated.items()
    assert told["sharpened"] == {"around": 0.95, "sharpness": 3}
    assert told["start"]["gates"] == fit


@pytest.mark.parametrize(
    ("flags", "config"),
    [(TrainingFlags, CalibrationConfig), (RolloutFlags, ReinforcementConfig), (GateFlags, GateFitConfig)],
)
def test_a_flag_that_is_left_out_is_the_librarys_default(flags, config):
    assert flags().config(seed=7) == config(seed=7)


def test_stages_that_nothing_is_said_of_are_the_librarys():
    assert GateFlags().stage(TrainingFlags(), seed=0) == Calibration()
    assert SharpenFlags().stage(RolloutFlags(), seed=0) == Reinforcement()
    assert BoundFlags().certification() == Certification()


def test_exits_that_nothing_is_said_of_are_linear_and_every_fifth_layer_of_thirty():
    assert ExitFlags().config(30) == ExitConfig((5, 10, 15, 20, 25))
