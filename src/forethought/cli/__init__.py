"""The command line: one file a verb, each loaded only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Toml

from forethought.errors import ConfigError, ForethoughtError

VERBS = {
    "demo": "Run the main job on committed questions with the embedded model, in minutes.",
    "study": "Repeat the README's figures on the whole committed table (resumable).",
    "models": "Fetch and list the embedded models.",
    "collect": "Let targets answer questions, grade them, record tokens and seconds.",
    "extract": "Read one prefill a question into an activation store.",
    "fit": "Fit a router on outcomes and activations.",
    "calibrate": "Recalibrate a router on labelled questions of its new domain.",
    "evaluate": "Score a router on the part of a table that it never saw.",
    "route": "Decide for live questions and let the chosen target answer.",
    "report": "Write the HTML report of an evaluation, or project its savings.",
    "bench": "List and run the benchmarks of a checkout.",
}

app = App(name="forethought", help=__doc__, version=lambda: version("forethought"), help_format="markdown")
for _verb, _help in VERBS.items():
    app.command(
        f"forethought.cli.{_verb}:app" if _verb == "models" else f"forethought.cli.{_verb}:{_verb}",
        name=_verb,
        help=_help,
    )


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(help="TOML file that sets what flags set; flags win.")] = None,
) -> Any:
    if config is not None:
        if not config.is_file():
            raise ConfigError(f"no configuration file at {config}")
        app.config = (Toml(config, must_exist=True, use_commands_as_keys=True),)
    return app(tokens)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's error is one line on stderr and exit code 2."""
    try:
        app.meta(arguments, result_action="return_value")
    except ForethoughtError as error:
        print(f"forethought: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("forethought: interrupted; what is finished stays on disk and a second run resumes", file=sys.stderr)
        sys.exit(130)
