"""`forethought budget`: all four verbs on the decoder that comes with the package, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from forethought.cli import main
from forethought.cli.budget_flags import SpendFlags
from forethought.errors import ArtifactError, ConfigError
from forethought.training import BestOfN, ConstrainedPolicy, InferenceAware, PricedReward, RejectionSampling
from forethought.training.saved import SavedPolicy

SFT = [
    "--limit",
    "60",
    "--samples",
    "6",
    "--temperature",
    "2",
    "--votes",
    "4",
    "--distinct",
    "2",
    "8",
    "--max-tokens",
    "40",
    "--steps",
    "3",
    "--batch",
    "4",
]
PRACTICE = ["--prompts", "4", "--samples", "4"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("budget") / "sft"
    main(["budget", "sft", str(out), "--model", "arithmetic-small", *SFT])
    return out


def practised(begun: Path, out: Path, *flags: str) -> SavedPolicy:
    main(["budget", "ibpo", str(begun), str(out), *PRACTICE, *flags])
    return SavedPolicy.read(out)


def printed(capsys) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_pretrain_writes_a_model_that_sft_can_vote_with(tmp_path, capsys):
    main(["budget", "pretrain", str(tmp_path / "base"), "--steps", "2", "--json"])
    assert printed(capsys)["steps"] == 2
    assert (tmp_path / "base" / "model.safetensors").is_file()
    with pytest.raises(SystemExit):
        main(["budget", "pretrain", str(tmp_path / "base"), "--steps", "2"])


def test_sft_keeps_what_the_next_stage_needs(begun):
    saved = SavedPolicy.read(begun)
    assert (saved.trained, saved.decide, saved.policy.temperature) == ("all", "after_first", 2.0)
    assert saved.questions["train"]["n"] == 20
    assert [stage["stage"] for stage in saved.made] == ["imitation"]


@pytest.mark.parametrize("unit", [("--budget", "0.5"), ("--budget", "2.5", "--unit", "trials")])
def test_ibpo_holds_its_budget_on_what_it_learns_from(begun, tmp_path, unit):
    saved = practised(begun, tmp_path / "policy", "--steps", "2", *unit)
    assert saved.made[-1]["figures"]["used"] <= float(unit[1]) + 1e-9
    assert [stage["stage"] for stage in saved.made] == ["imitation", "practice"]


def test_a_killed_run_goes_on_to_the_same_weights(begun, tmp_path):
    from safetensors.numpy import load_file

    whole = practised(begun, tmp_path / "whole", "--steps", "11", "--margins", "conditional")
    assert (tmp_path / "whole.work" / "practice").is_dir()
    shutil.copytree(tmp_path / "whole.work", tmp_path / "again.work")
    again = practised(begun, tmp_path / "again", "--steps", "11", "--margins", "conditional")
    assert whole.made == again.made
    a, b = (load_file(tmp_path / name / "all" / "model.safetensors") for name in ("whole", "again"))
    assert all((a[name] == b[name]).all() for name in a)


def test_evaluate_tells_the_three_ways_apart(begun, capsys):
    main(["budget", "evaluate", str(begun), "--limit", "10", "--json"])
    table = printed(capsys)["sft"]
    assert table["questions"] == 10
    assert (table["once"]["voted"], table["vote"]["voted"]) == (0.0, 1.0)
    assert table["once"]["trials"] == 1.0
    assert table["vote"]["trials"] >= 2.0
    assert set(table["by_level"]) == {"1.0", "2.0", "3.0", "4.0", "5.0"}


def test_evaluate_prints_tables(begun, capsys):
    main(["budget", "evaluate", str(begun), "--limit", "10"])
    shown = capsys.readouterr().out
    assert "allocation's own worth" in shown
    assert "by level" in shown


def test_what_is_refused(begun, tmp_path, capsys):
    for flags, said in (
        (["--budget", "1.5"], "<= 1"),
        (["--budget", "0.5", "--unit", "trials"], ">= 1"),
        (["--unit", "usd"], "--usd-per-million"),
    ):
        with pytest.raises(SystemExit):
            main(["budget", "ibpo", str(begun), str(tmp_path / "new"), *PRACTICE, "--steps", "1", *flags])
        assert said in capsys.readouterr().err
    for verb in (["ibpo", str(begun), str(begun)], ["evaluate", str(tmp_path)], ["evaluate"]):
        with pytest.raises(SystemExit):
            main(["budget", *verb])
    assert not (tmp_path / "new").exists()


def test_a_damaged_description_is_refused(begun, tmp_path):
    copy = Path(shutil.copytree(begun, tmp_path / "copy"))
    (copy / "budget.json").write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        SavedPolicy.read(copy)
    (copy / "budget.json").write_text('{"kind": "other"}')
    with pytest.raises(ArtifactError, match="does not describe"):
        SavedPolicy.read(copy)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (SpendFlags(method="rejection"), RejectionSampling),
        (SpendFlags(method="best-of-n"), BestOfN),
        (SpendFlags(method="cgpo"), ConstrainedPolicy),
        (SpendFlags(method="price"), PricedReward),
        (SpendFlags(margins="conditional"), InferenceAware),
    ],
)
def test_every_method_has_its_selection(flags, kind):
    assert isinstance(flags.selection(0), kind)


def test_usd_are_tokens_times_a_price():
    found = SpendFlags(budget=1e-4, unit="usd", usd_per_million=2.0, margins="conditional").selection(0)
    assert isinstance(found, InferenceAware)
    assert (found.unit, found.budget) == ("tokens", 50.0)
    with pytest.raises(ConfigError, match="usd-per-million"):
        SpendFlags(unit="usd").selection(0)
