"""`forethought replay` on the committed samples and on tables of our own."""

from __future__ import annotations

import json

import polars as pl
import pytest

from forethought.cli import main
from forethought.data import recorded_samples

QUICK = ("--orders=2", "--draws=30")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Eight samples of sixty of the committed questions."""
    frame = pl.read_parquet(recorded_samples())
    ids = frame["question_id"].unique(maintain_order=True)[:60]
    path = tmp_path_factory.mktemp("samples") / "samples.parquet"
    frame.filter(pl.col("question_id").is_in(ids.implode()) & (pl.col("sample") < 8)).write_parquet(path)
    return path


def test_the_committed_samples_are_compared_by_default(call_json):
    rules = ("MV 1", "MV 8", "SV 8/3", "AC 8/0.8", "ESC 8/2")
    found = call_json("replay", "--orders=1", "--draws=30", "--rules", *rules)
    n = pl.read_parquet(recorded_samples())["question_id"].n_unique()
    assert (found["about"]["questions"], found["about"]["samples"]) == (n, 40)
    assert [card["name"] for card in found["rules"]] == list(rules)
    cards = {card["name"]: card for card in found["rules"]}
    assert cards["MV 8"]["samples"]["value"] == 8
    assert 3 < cards["SV 8/3"]["samples"]["value"] < 6
    assert cards["MV 8"]["accuracy"]["value"] > cards["MV 1"]["accuracy"]["value"] + 0.02
    assert cards["MV 1"]["usd"]["value"] > 0
    assert [contest["family"] for contest in found["contests"]] == ["Adaptive-Consistency", "ESC"]
    assert all(f"on this record (n={n})" in contest["sentence"] for contest in found["contests"])


def test_a_short_record_leaves_dear_rules_out(capsys, small, tmp_path):
    main(["replay", "--samples", str(small), *QUICK, "--out", str(tmp_path / "r")])
    shown, noted = capsys.readouterr()
    assert "left out, 8 answers being recorded: MV 16" in noted
    assert "SV 8/3" in shown
    assert "MV 16" not in shown
    assert "beat" in shown or "loses" in shown
    found = json.loads((tmp_path / "r" / "replay.json").read_text())
    assert max(card["setting"]["cap"] for card in found["rules"]) == 8
    assert found["about"] == {"target": "smollm2-5shot-sampled", "questions": 60, "samples": 8, "orders": 2,
                              "draws": 30, "seed": 0}  # fmt: skip
    assert (tmp_path / "r" / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "r" / "frontier.svg").read_text()


def test_one_rule_stands_beside_the_single_answer_and_the_papers(call_json, small):
    flags = ("--rule", "early_stopping", "--setting.window", "2", "--setting.cap", "6")
    found = call_json("replay", small, *QUICK, *flags)
    assert [card["name"] for card in found["rules"]] == ["MV 1", "SV 8/3", "ESC 6/2"]
    assert found["rules"][2]["setting"] == {"cap": 6, "window": 2}
    found = call_json("replay", small, *QUICK, "--rules", "MV 3", "--rule", "bayes", "--setting.cap", "4")
    assert [card["name"] for card in found["rules"]] == ["MV 3", "bayes 4/0.005"]


def test_the_targets_prices_come_from_the_pool(call_json, small, tmp_path):
    pool = tmp_path / "pool.toml"
    name = 'name = "smollm2-5shot-sampled"\nmodel = "m"'
    pool.write_text(f"[[target]]\n{name}\nprices = {{ input = 0, output = 1000000 }}\n")
    [card] = call_json("replay", small, *QUICK, "--rules", "MV 3", "--pool", pool)["rules"]
    assert card["usd"]["value"] == pytest.approx(card["output_tokens"]["value"])
    pool.write_text('[[target]]\nname = "another"\nmodel = "m"\n')
    [card] = call_json("replay", small, *QUICK, "--rules", "MV 3", "--pool", pool)["rules"]
    assert card["usd"] is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rules", "nope"), "unknown stopping rule 'nope'"),
        (("--rules", "MV 40"), "MV 40 may ask for more answers than the 8 recorded"),
        (("--rule", "majority", "--setting.cap", "9"), "MV 9 may ask for 9 answers, recorded are 8"),
        (("--rule", "sequential", "--setting.cap", "2"), "cap must be >= consensus, got cap=2 with consensus=3"),
        (("--rule", "sequential", "--setting.nope", "2"), "nope"),
        (("--rule", "majority", "--setting.cap", "0"), "cap must be >= 1"),
        (("--setting.cap", "8"), "--setting needs --rule"),
        (("--target", "nobody"), "no samples of 'nobody'"),
        (("--orders", "0"), "orders must be >= 1"),
        (("--questions", "/dev/null"), "lacks question"),
        (("--pool", "absent.toml"), "no pool file at absent.toml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(refused, small, flags, said):
    assert said in refused("replay", small, "--draws=2", *flags)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frame: frame.with_columns(answer=pl.lit(None, dtype=pl.String)), "have a grade and no answer"),
        (lambda frame: frame.with_columns(success=pl.lit(None, dtype=pl.Float64)), "no grade"),
        (lambda frame: frame.slice(1), "every question needs as many samples"),
        (lambda frame: frame.clear(), "no rows"),
        (
            lambda frame: pl.concat([frame, frame.with_columns(target=pl.lit("other"))]),
            "samples of smollm2-5shot-sampled, other; name one",
        ),
    ],
)
def test_a_table_that_holds_no_votes_is_refused(refused, small, tmp_path, spoil, said):
    spoil(pl.read_parquet(small)).write_parquet(tmp_path / "spoiled.parquet")
    assert said in refused("replay", tmp_path / "spoiled.parquet", "--orders=1", "--draws=2")


def test_a_place_that_cannot_be_written_is_told_before_the_work(refused, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "cannot make the folder" in refused("replay", "--rules", "SV 8/3", "--out", tmp_path / "file")
    assert "draws must be >= 1" in refused("replay", "--rules", "SV 8/3", "--draws", "0")
    assert (tmp_path / "file").read_text() == "x"
