"""`forethought calibrate`: move a router to a new domain with a few labelled questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from forethought.cli.console import notes


def calibrate(
    router: Path,
    out: Path,
    *,
    questions: Path,
    outcomes: Path,
    activations: Annotated[Sequence[Path], Parameter(consume_multiple=True, negative=())],
    pool: Path | None = None,
) -> None:
    """Fit new probabilities on a router's own logits, from labelled questions of the domain it will serve.

    Probabilities learned on one domain rank questions of another but misstate their level; labels
    of the new domain mend that. The old certificate is dropped: it was about the old domain.

    Example: `forethought calibrate runs/demo/router runs/mine/router --questions q.jsonl --outcomes o.parquet
    --activations runs/mine/activations`

    Args:
        router: The router as it was fitted.
        out: Folder of the recalibrated router.
        questions: Labelled questions of the new domain, as JSON lines.
        outcomes: What the router's targets did on them, as Parquet.
        activations: Their activations, by the router's encoder.
        pool: Pool file of the targets.
    """
    from forethought.cli.inputs import Inputs
    from forethought.router import FitConfig, Router, recalibrate

    inputs = Inputs(tuple(activations), questions, outcomes, pool)
    loaded = Router.load(router)
    config = FitConfig(**{**loaded.manifest["config"], "targets": loaded.heads.names})
    recalibrated = recalibrate(loaded, inputs.dataset(config), say=notes.print)
    print(f"router {recalibrated.save(out)[:12]} in {out}")
