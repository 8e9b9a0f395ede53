"""The command line: one file a verb, each loaded only when it is called."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml

from forethought.errors import ConfigError, ForethoughtError

VERBS = (
    "demo",
    "study",
    "models",
    "collect",
    "extract",
    "fit",
    "calibrate",
    "evaluate",
    "replay",
    "stopping",
    "difficulty",
    "exits",
    "budget",
    "route",
    "serve",
    "keys",
    "report",
    "bench",
)

APPS = ("models", "keys", "exits", "budget")
"""Verbs with verbs of their own."""

app = App(
    name="forethought",
    help="Know before you generate: spend LLM inference compute only where it pays.",
    version=lambda: version("forethought"),
    help_format="markdown",
)
for _verb in VERBS:
    app.command(f"forethought.cli.{_verb}:{'app' if _verb in APPS else _verb}", name=_verb)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(help="TOML file that sets what flags set; flags win.")] = None,
) -> Any:
    app.config = () if config is None else (_settings(config),)
    return app(tokens, exit_on_error=False, print_error=False)


def _settings(path: Path) -> Toml:
    if not path.is_file():
        raise ConfigError(f"no configuration file at {path}")
    try:
        tables = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if unknown := sorted(set(tables) - set(VERBS)):
        raise ConfigError(f"unknown table {unknown[0]!r} in {path}; verbs are {', '.join(VERBS)}")
    return Toml(path, must_exist=True, use_commands_as_keys=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's error is one line on stderr and exit code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    if not set(given) & set(VERBS):
        for verb in VERBS:
            app[verb]  # imported, so that the list of verbs shows what each is for
    try:
        app.meta(given, result_action="return_value", exit_on_error=False, print_error=False)
    except (ForethoughtError, CycloptsError) as error:
        print(f"forethought: {_one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("forethought: interrupted; what is finished stays on disk and a second run resumes", file=sys.stderr)
        sys.exit(130)


def _one_line(error: Exception) -> str:
    """The message of an error; of settings that pydantic refuses, which and why."""
    from pydantic import ValidationError

    if not isinstance(cause := error.__cause__, ValidationError):
        return " ".join(str(error).split())
    return "; ".join(
        f"{'.'.join(map(str, found['loc']))}: {found['msg']}, got {found['input']!r}"
        if found["loc"]
        else found["msg"].removeprefix("Value error, ")
        for found in cause.errors()
    )
