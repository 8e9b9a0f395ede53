"""Secrets are compared in constant time, everywhere in the gateway."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import forethought

GATEWAY = Path(forethought.__file__).parent / "gateway"
SECRET = re.compile(r"(^|_)(keys?|secrets?|digests?|token|csrf|password|authorization)$", re.IGNORECASE)


def name_of(node: ast.expr) -> str:
    """The last name of what is compared: of `a.b.digest`, `digest()` and `x["digest"]` it is `digest`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return ""


def is_secret(side: ast.expr, others: list[ast.expr]) -> bool:
    """A bare `key` beside a literal is the key of a mapping."""
    name = name_of(side)
    if name == "key" and any(isinstance(other, ast.Constant) for other in others):
        return False
    return SECRET.search(name) is not None


def compared_secrets(source: str) -> list[int]:
    """Lines that compare a secret by `==` or `!=`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            sides = [node.left, *node.comparators]
            if any(is_secret(side, sides) for side in sides):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("a == b", []), ("digest == b", [1]), ("x.digest != y", [1]), ("sha(secret) == digest(x)", [1]),
        ("row['digest'] == b", [1]), ("max_tokens == 3", []),
        ("key == 'content'", []), ("key == given", [1]), ("key.id == b", []), ("key is None", []),
        ("api_key == b", [1]), ("1 < 2 == token", [1]), ("hmac.compare_digest(a, b) == True", [1]),
    ],
)  # fmt: skip
def test_the_gate_sees_what_it_should(source: str, lines: list[int]) -> None:
    assert compared_secrets(source) == lines


def test_no_secret_is_compared_but_in_constant_time() -> None:
    files = sorted(GATEWAY.rglob("*.py"))
    assert len(files) > 10
    found = [f"{path.relative_to(GATEWAY)}:{line}" for path in files for line in compared_secrets(path.read_text())]
    assert found == []


def test_digests_are_compared_somewhere() -> None:
    users = [path.name for path in GATEWAY.rglob("*.py") if "compare_digest(" in path.read_text()]
    assert {"keys.py", "origin.py"} <= set(users)
