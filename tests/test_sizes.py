"""Code stays in pieces that fit a screen and a head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import forethought

SOURCE = Path(forethought.__file__).parent
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 600, 80, 8
OPTIONS = {"activations/extraction.py:extract": 9}
"""Runs whose every parameter is a flag of the command line."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}", node


def code_lines(node: Function) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    spoken = ast.get_docstring(node, clean=False) is not None
    said = (first.end_lineno or 0) - first.lineno + 1 if spoken else 0
    return (node.end_lineno or 0) - node.lineno + 1 - said


def parameters(node: Function) -> int:
    given = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return len([name for name in given if name not in ("self", "cls")]) + len(node.args.kwonlyargs)


def is_command(node: Function, where: str) -> bool:
    """A verb's parameters are its flags, also those of a verb under another."""
    verbs = (Path(where.split(":")[0]).stem, "fetch", "list")
    nested = any(ast.unparse(decorator).startswith("app.command") for decorator in node.decorator_list)
    return where.startswith("cli/") and (nested or node.name.rstrip("_") in verbs)


def test_no_module_is_too_long():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert [f"{name}: {lines}" for name, lines in lengths.items() if lines > MODULE_LINES] == []
    assert median(lengths.values()) <= 150


def test_no_function_is_too_long():
    lengths = {where: code_lines(node) for where, node in functions()}
    assert [f"{where}: {lines} lines" for where, lines in lengths.items() if lines > FUNCTION_LINES] == []
    assert median(lengths.values()) <= 12


def allowed(where: str) -> int:
    place, name = where.split()
    return OPTIONS.get(f"{place.split(':')[0]}:{name}", PARAMETERS)


def test_no_function_takes_too_many_parameters():
    counts = {where: parameters(node) for where, node in functions() if not is_command(node, where)}
    assert [f"{where}: {count} parameters" for where, count in counts.items() if count > allowed(where)] == []
