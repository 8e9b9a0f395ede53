"""A stopping probe fitted, certified and voted by through the commands, on a tiny decoder's own samples."""

from __future__ import annotations

import pytest

from forethought.cli import main
from forethought.outcomes import Outcomes
from forethought.voting import StoppingProbe


@pytest.fixture(scope="module")
def fitted(run, tmp_path_factory):
    """60 planted questions, eight samples each from the tiny decoder itself."""
    folder = tmp_path_factory.mktemp("stopping")
    pool = folder / "pool.toml"
    text = run.pool.read_text().replace("max_tokens = 4", "max_tokens = 1, temperature = 0.7")
    pool.write_text(text)
    flags = [f"--questions={run.questions}", f"--pool={pool}"]
    main(["collect", str(folder / "samples"), *flags, "--targets", "north", "--samples=8", "--limit=60"])
    samples = folder / "samples" / "outcomes.parquet"
    main(["stopping", str(folder / "probe"), f"--samples={samples}", *flags, "--cap=8", "--tolerance=0.3"])
    return folder, pool, samples


def test_the_probe_holds_its_certificate(fitted):
    folder, _, samples = fitted
    probe = StoppingProbe.load(folder / "probe")
    assert probe.cap == 8
    assert probe.certificate is not None
    assert probe.certificate["n"] == pytest.approx(12, abs=3)
    assert len(Outcomes.read(samples)) == 480


def test_live_votes_follow_the_probe(fitted, call_json):
    folder, pool, _ = fitted
    flags = ("--target", "north", "--pool", pool, "--stopping-probe", folder / "probe")
    [found] = call_json("route", "question 1 on a river", *flags)
    price = StoppingProbe.load(folder / "probe").price
    assert found["vote"]["rule"] == ("majority" if price is None else "bayes")
    assert 1 <= len(found["vote"]["votes"]) <= 8
    assert found["vote"]["spent"]["samples"] == len(found["vote"]["votes"])


def test_what_does_not_fit_is_refused(fitted, run, refused, tmp_path):
    folder, pool, samples = fitted
    probe = folder / "probe"
    said = refused("route", "q", "--target", "north", "--pool", pool, "--stopping-probe", probe, "--vote", "sequential")
    assert "brings its own rule" in said
    assert "nothing" in refused("route", "q", "--target", "north", "--stopping-probe", tmp_path / "nothing")
    assert "no text of question" in refused("stopping", tmp_path / "x", "--samples", samples, "--pool", pool, "--cap=8")
    flags = ("stopping", tmp_path / "x", "--samples", samples, "--pool", pool, f"--questions={run.questions}")
    for flag, said in (("--cap=16", "recorded are 8"), ("--cap=0", "cap"), ("--delta=2", "must lie in (0, 1)")):
        assert said in refused(*flags, flag)
    assert not (tmp_path / "x").exists()
