from __future__ import annotations

import subprocess
import sys

import pytest

from forethought.cli import VERBS, main

EVERY = [[verb] for verb in VERBS if verb not in ("models", "keys", "exits", "budget")]
EVERY += [["models", "fetch"], ["models", "list"]]
EVERY += [["keys", each] for each in ("create", "list", "revoke")]
EVERY += [["budget", each] for each in ("pretrain", "sft", "ibpo", "evaluate")]
EVERY += [["exits", each] for each in ("calibrate", "reinforce", "generate", "evaluate")]


def help_of(capsys, *words: str) -> str:
    main([*words, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_verb_shows_an_example_of_itself(capsys, words):
    shown = " ".join(help_of(capsys, *words).split())
    assert f"Example: forethought {' '.join(words)}" in shown


def test_the_list_of_verbs_says_what_each_is_for(capsys):
    shown = help_of(capsys)
    lines = {
        line.split()[1]: line.split()[2:] for line in shown.splitlines() if line.startswith("│ ") and line[2] != " "
    }
    assert all(len(lines[verb]) > 2 for verb in VERBS)


def test_a_users_error_is_one_line_without_a_traceback(tmp_path):
    """A process of its own, as a user runs it."""
    program = "import sys; from forethought.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "route", "hello", "--router", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"forethought: {tmp_path} is no artifact: it has no manifest.json\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "x", "--nope", "1"], "--nope"),
        (["nope"], '"nope"'),
        (["fit"], "--out"),
        (["fit", "x", "--tolerance", "2"], "tolerance: Input should be less than 1, got '2'"),
        (["fit", "x", "--shares", "1", "2", "3"], "shares must be positive and sum to 1"),
        (["fit", "x", "--head", "forest"], "head: Input should be 'stack', 'average', 'logistic' or 'trunk'"),
        (["collect", "x", "--shard", "half"], "shard must look like i/n"),
        (["collect", "x", "--limit", "0"], "limit must be >= 1, got 0"),
        (["collect", "x", "--questions", "/dev/null"], "no questions"),
        (["collect", "x", "--pool", "absent.toml"], "no pool file at absent.toml"),
        (["collect", "x", "--targets", "nobody"], "no target 'nobody' in the pool"),
        (["collect", "x", "--questions", "absent.jsonl"], "absent.jsonl"),
        (["extract", "x", "--encoder", "nobody"], "no model 'nobody'"),
        (["models", "fetch", "nobody"], "nobody"),
        (["models", "fetch", "gemma-3-270m", "--cache", "elsewhere"], "gemma-terms"),
        (["report", "absent.json"], "absent.json"),
        (["evaluate", "absent"], "absent"),
        (["fit", "--config", "absent.toml"], "no configuration file at absent.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_one_line(refused, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(*words)
