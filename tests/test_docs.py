"""What the documents show works: Python blocks run, and commands name verbs and flags that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from forethought.cli import VERBS, app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"console", "bash", "sh", "shell"}
NESTED = {
    "models": ("fetch", "list"),
    "keys": ("create", "forget", "list", "revoke"),
    "exits": ("calibrate", "reinforce", "generate", "evaluate"),
    "budget": ("pretrain", "sft", "ibpo", "evaluate"),
}


class Block(NamedTuple):
    place: str
    info: str
    body: str


def blocks(text: str, name: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{name}:{line}", found["info"].strip(), found["body"])


def commands(body: str) -> Iterator[list[str]]:
    """Words of each command; a block that shows prompts has output on its other lines."""
    lines = body.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line, comments=True)
        starts = [i for i, word in enumerate(words) if Path(word).name == "forethought"]
        if starts and starts[0] + 1 < len(words):
            yield words[starts[0] + 1 :]


def flags(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if re.match(r"--[a-z]", word)]


def wrong(words: list[str]) -> str | None:
    """What a command names that does not exist."""
    if words[0].startswith("-"):
        return None
    if words[0] not in VERBS:
        return words[0]
    verb, chain = app[words[0]], " ".join(words[:1])
    if words[0] in NESTED:
        if words[1] not in NESTED[words[0]]:
            return " ".join(words[:2])
        verb, chain = verb[words[1]], " ".join(words[:2])
    known = {name for argument in verb.assemble_argument_collection() for name in argument.names}
    known |= {"--config", "--help"}
    missing = [flag for flag in flags(words) if flag not in known and flag.split(".")[0] not in known]
    return f"{chain} {missing[0]}" if missing else None


EVERY = [block for path in DOCUMENTS for block in blocks(path.read_text(), str(path.relative_to(ROOT)))]
PYTHON = [block for block in EVERY if block.info == "python"]
SHELL = [block for block in EVERY if block.info.split(" ")[0] in SHELLS]


def test_the_readme_shows_commands():
    assert any(block.place.startswith("README") and list(commands(block.body)) for block in SHELL)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python_blocks_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block.body, block.place, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_commands_exist(block):
    assert [found for words in commands(block.body) if (found := wrong(words))] == []


def test_every_fence_is_closed():
    for path in DOCUMENTS:
        assert len(re.findall(r"^```", path.read_text(), re.MULTILINE)) % 2 == 0, path


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("forethought fit runs/x --nope 1", "fit --nope"),
        ("forethought fti runs/x", "fti"),
        ("forethought models drop x", "models drop"),
        ("forethought exits generate x --compare --nope", "exits generate --nope"),
        ("forethought exits calibrate x --gate-units 16 --adapted all --lambda 1", "exits calibrate --lambda"),
        (".venv/bin/forethought models fetch --axcept x", "models fetch --axcept"),
        ("forethought fit runs/x --tolerance 0.1 # a comment --nope", None),
        ("forethought fit runs/x --no-text --config fit.toml", None),
        ("$ forethought models list --json\nforethought is not a command here", None),
    ],
)
def test_the_check_sees_what_does_not_exist(command, named):
    assert [wrong(words) for words in commands(command)] == [named]


def test_a_test_that_a_document_names_exists():
    named = {name for path in DOCUMENTS for name in re.findall(r"`(test_\w+)`", path.read_text())}
    there = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 20
    assert named - there == set()
