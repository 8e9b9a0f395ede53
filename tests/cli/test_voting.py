"""`forethought route --vote`: a local model and a real endpoint answer by voting."""

from __future__ import annotations

import json
import shutil

import pytest

from forethought.cli import main
from forethought.cli.voting import TAGS, read_answer
from forethought.core import DecodingPolicy, Question, Target
from forethought.models import load
from forethought.targets import LocalResponder
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.responder import VotingResponder

LOCAL = ("--target", "north", "--vote", "majority", "--vote-setting.cap", "3")
PRICES = "prices = { input = 1, output = 2, cached_input = 0.5 }"


@pytest.fixture
def served(streaming, tmp_path):
    """A server, its script class, and flags that ask a greedy target behind it."""
    with streaming.running() as server:
        pool = tmp_path / "pool.toml"
        target = f'[[target]]\nname = "far"\nmodel = "m"\nbase_url = "{server.url}"\n{PRICES}\n'
        pool.write_text(f"{target}policy = {{ max_tokens = 20 }}\n")
        yield server, streaming.Script, ("Which number?", "--target", "far", "--pool", pool)


def test_a_local_target_votes_as_the_library_does(run, call_json, tiny_model):
    [found] = call_json("route", "question 1", *LOCAL, f"--pool={run.pool}")
    target = Target("north", str(tiny_model), DecodingPolicy(temperature=0.7, max_tokens=4))
    voting = VotingResponder(LocalResponder(load(str(tiny_model)), target), MajorityVote(3), read_answer)
    [voted] = voting.answer([Question.ask("question 1")], [0])
    assert found["answer"] == voted.response.text
    assert found["vote"]["elected"] == voted.answer
    assert [vote["answer"] for vote in found["vote"]["votes"]] == list(voted.ballot.answers)
    spent = found["vote"]["spent"]
    assert (spent["samples"], spent["rounds"], spent["output_tokens"]) == (3, 3, voted.spent.output_tokens)
    assert spent["usd"] == pytest.approx((spent["input_tokens"] + spent["output_tokens"]) / 1e6)


def test_votes_are_shown_as_they_come_and_greedy_is_said(run, capsys, call):
    shown = call("route", "question 1", *LOCAL, "--width", "2", f"--pool={run.pool}")
    assert [line.split(":")[0] for line in shown.splitlines()[1:4]] == ["  vote 1", "  vote 2", "  vote 3"]
    assert "  answer: " in shown
    assert "3 samples (0 wasted, 0 failed)" in shown
    assert "2 rounds" in shown
    assert "  stopped: " in shown


def test_the_routers_choice_votes(run, call_json):
    [found] = call_json(
        "route", "question 1", "--vote", "sequential", "--vote-setting.cap", "4", "--vote-setting.consensus", "2",
        "--router", run.folder / "router", f"--pool={run.pool}",
    )  # fmt: skip
    assert found["target"] == found["decision"]["target"]
    assert found["vote"]["setting"] == {"cap": 4, "consensus": 2}
    assert 2 <= found["vote"]["spent"]["samples"] <= 4


def test_a_local_model_votes_in_one_generation(run, call_json, tiny_model, tmp_path):
    """Bytes are tokens here, so that the format's prompt needs a wider window."""
    model = shutil.copytree(tiny_model, tmp_path / "wide")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}))
    pool = tmp_path / "pool.toml"
    pool.write_text(run.pool.read_text().replace(str(tiny_model), str(model)))
    [found] = call_json("route", "q", *LOCAL, "--in-one", f"--pool={pool}")
    assert found["vote"]["spent"]["rounds"] == 1
    assert len(found["vote"]["votes"]) == 3
    assert found["vote"]["spent"]["output_tokens"] <= 12


def test_a_target_is_asked_without_any_router(run, call_json):
    [found] = call_json("route", "question 1", "--target", "north", f"--pool={run.pool}")
    assert found["target"] == "north"
    assert isinstance(found["answer"], str)


def test_an_endpoint_votes_with_several_answers_in_flight(served, call_json, capsys):
    server, script, ask = served
    usage = {"prompt_tokens": 11, "prompt_tokens_details": {"cached_tokens": 8}}
    server.scripts = [script(text, usage=usage, pause=0.05) for text in ("it is 4", "5", "4")]
    [found] = call_json("route", *ask, "--vote", "sequential", "--vote-setting.consensus", "2", "--width", "2")
    vote = found["vote"]
    assert vote["elected"] == "4"
    assert [one["answer"] for one in vote["votes"]] == ["4", "5", "4"]
    assert vote["reason"] == "'4' was given 2 times"
    assert server.most == 2
    assert {body["temperature"] for body in server.bodies} == {0.7}
    spent = vote["spent"]
    charged = spent["input_tokens"] - 0.5 * spent["cached_tokens"] + 2 * spent["output_tokens"]
    assert spent["cached_tokens"] >= 24
    assert spent["usd"] == pytest.approx(charged / 1e6)


def test_an_endpoint_votes_inside_one_answer_cut_at_consensus(served, call, capsys):
    server, script, ask = served
    trials = " ".join(f"[TRIAL] it is {answer} [/TRIAL]" for answer in (4, 5, 4, 4, 4, 4, 4, 4))
    server.scripts = [script(trials + " x" * 500, pause=0.002)]
    shown = call("route", *ask, "--vote", "sequential", "--in-one")
    assert "  vote 4: '4' (3 of 4)" in shown
    assert "vote 5" not in shown
    assert "1 round" in shown
    assert "about" in shown
    assert server.wait_gone(1)
    [body] = server.bodies
    assert body["max_tokens"] == 8 * (20 + TAGS)
    assert body["temperature"] == 0
    assert "[TRIAL]" in body["messages"][0]["content"]


def test_failures_are_counted_and_an_unanswered_vote_is_one_line(served, call_json, capsys):
    server, script, ask = served
    server.scripts = [script("4"), script("5 6 7", cut=2), script("4")]
    [found] = call_json("route", *ask, "--vote", "sequential", "--vote-setting.consensus", "2", "--width", "1")
    spent = found["vote"]["spent"]
    assert (spent["samples"], spent["failed"], spent["estimated"]) == (3, 1, True)
    server.scripts = [script(status=401)]
    server.numbers.clear()
    with pytest.raises(SystemExit) as stopped:
        main(["route", *map(str, ask), "--vote", "majority"])
    assert stopped.value.code == 2
    assert "answers of far to question" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--vote", "nope"), "unknown stopping rule 'nope'"),
        (("--vote", "sequential", "--vote-setting.cap", "2"), "cap must be >= consensus"),
        (("--vote", "sequential", "--vote-setting.cap", "two"), "must be a number, got 'two'"),
        (("--vote", "adaptive_sequential"), "missing a required argument: 'gain'"),
        (("--width", "2"), "--width needs --vote"),
        (("--in-one",), "--in-one needs --vote"),
        (("--vote-setting.cap", "2"), "--vote-setting needs --vote"),
        (("--vote", "majority", "--in-one", "--width", "2"), "it has no --width"),
        (("--vote", "majority", "--width", "0"), "--width must be >= 1, got 0"),
        (("--vote", "majority", "--explain"), "--explain calls no target"),
        (("--target", "north", "--explain"), "--explain calls no target"),
        (("--target", "nobody"), "no target 'nobody'"),
        (("--target", "nobody", "--vote", "majority"), "no target 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(run, refused, flags, said):
    assert said in refused("route", "q", f"--pool={run.pool}", "--router", run.folder / "router", *flags)
