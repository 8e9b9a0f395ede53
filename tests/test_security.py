"""Nothing that is read is ever run: no pickle, no eval, no remote code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import forethought

SOURCE = Path(forethought.__file__).parent
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "torch.load", "yaml.load", "yaml.unsafe_load", "numpy.load", "np.load", "os.system"}
FLAGS = {"trust_remote_code", "allow_pickle", "shell"}
SANDBOX = "outcomes/graders/"
"""The code grader runs answers in a subprocess without network; what runs there may call exec."""


def breaches(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"from {node.module} import"
        elif isinstance(node, ast.Call):
            if (name := ast.unparse(node.func)) in CALLS:
                yield name
            yield from (f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords if k.arg in FLAGS and not is_false(k))
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (
                f"{key.value!r}: {ast.unparse(value)}"
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value in FLAGS and ast.unparse(value) != "False"
            )


def is_false(keyword: ast.keyword) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is False


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "exec(code)",
        "torch.load(path)",
        "yaml.load(text)",
        "f(trust_remote_code=True)",
        "f(trust_remote_code=flag)",
        "np.load(path, allow_pickle=True)",
        "options = {'trust_remote_code': True}",
        "run(command, shell=True)",
    ],
)
def test_the_gate_sees_a_breach(source):
    assert list(breaches(source))


@pytest.mark.parametrize("source", ["model.eval()", "f(trust_remote_code=False)", "o = {'trust_remote_code': False}"])
def test_the_gate_lets_the_rest_through(source):
    assert not list(breaches(source))


def test_nothing_that_is_read_is_run():
    found = {
        f"{path.relative_to(SOURCE)}: {breach}"
        for path in SOURCE.rglob("*.py")
        for breach in breaches(path.read_text())
        if not (str(path.relative_to(SOURCE)).startswith(SANDBOX) and breach in ("exec", "compile"))
    }
    assert found == set()
