"""One small run by the commands themselves: a tiny decoder reads planted questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from forethought.cli import main
from forethought.questions import write_questions


class Run(NamedTuple):
    """Where everything of a run lies."""

    folder: Path
    questions: Path
    outcomes: Path
    pool: Path

    @property
    def inputs(self) -> list[str]:
        """Flags that name the run's own files."""
        return [f"--questions={self.questions}", f"--outcomes={self.outcomes}", f"--pool={self.pool}"]


SETTINGS = ["--folds=3", "--no-text", "--trunk-seeds=1", "--trunk-keep=1", "--tolerance=0.1", "--seed=3"]


def pool_file(model: Path) -> str:
    """Four targets of one local model, at different prices."""
    targets = "".join(
        f'[[target]]\nname = "{name}"\nmodel = "{model}"\nprices = {{ input = {price}, output = {price} }}\n'
        "policy = { max_tokens = 4 }\n"
        for name, price in (("north", 1.0), ("south", 1.0), ("middling", 0.2), ("hopeless", 0.1))
    )
    return f'[encoder]\nmodel = "{model}"\nprice = 0.1\n{targets}'


@pytest.fixture(scope="session")
def run(tmp_path_factory, tiny_model, questions_of, outcomes_of) -> Run:
    """Extracted and fitted by `forethought extract` and `forethought fit`."""
    folder = tmp_path_factory.mktemp("run")
    made = Run(folder, folder / "questions.jsonl", folder / "outcomes.parquet", folder / "pool.toml")
    questions = questions_of(240)
    write_questions(made.questions, questions)
    outcomes_of(questions).write(made.outcomes)
    made.pool.write_text(pool_file(tiny_model))
    store = str(folder / "activations")
    main(["extract", store, f"--questions={made.questions}", f"--pool={made.pool}", "--layers", "1", "3"])
    main(["fit", str(folder), *made.inputs, *SETTINGS])
    return made


@pytest.fixture
def call(capsys) -> Callable[..., str]:
    """Run a command and return its standard output."""

    def called(*arguments: object) -> str:
        capsys.readouterr()
        main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    return called


@pytest.fixture
def call_json(call) -> Callable[..., object]:
    """Run a command with `--json` and parse all it prints to standard output."""
    return lambda *arguments: json.loads(call(*arguments, "--json"))


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Run a command that must fail, and return the one line it says."""

    def called(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        assert exit.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("forethought: ")
        assert len(err.splitlines()) == 1
        return err

    return called
