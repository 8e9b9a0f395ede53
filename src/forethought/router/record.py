"""What a fit saw, kept beside its router so that it can be evaluated and audited later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.artifacts import load_artifact, save_artifact
from forethought.errors import ArtifactError, DataError
from forethought.metrics import Certificate
from forethought.router.certification import Certified
from forethought.router.data import Dataset, Parts
from forethought.router.heads import FittedHead

if TYPE_CHECKING:
    from forethought.router.router import Router
    from forethought.router.training import Fit

KIND = "fit record"
PARTS = ("train", "certify", "report")


def save_fit(fit: Fit, data: Dataset, path: Path | str, layers: dict[str, Any]) -> str:
    """Write which questions stood in which part and what was predicted out of fold.

    Args:
        fit: The fit.
        data: Its data set.
        path: Directory to create or replace.
        layers: The tables behind the layer choice, as JSON-able data.

    Returns:
        The record's hash.
    """
    ids = {part: [data.questions[row].id for row in getattr(fit.parts, part)] for part in PARTS}
    manifest = {
        "kind": KIND,
        "router": fit.router.artifact,
        "questions": ids,
        "best_single": fit.best_single,
        "one_class": list(fit.head.one_class),
        "layers": layers,
    }
    tensors = {
        "folds": np.asarray(fit.parts.folds, dtype=np.int64),
        "out_of_fold": fit.head.out_of_fold,
        "raw_out_of_fold": fit.head.raw_out_of_fold,
        "p_values": np.asarray(fit.certified.certificate.p_values, dtype=np.float64),
    }
    return save_artifact(Path(path), manifest, tensors)


def load_fit(path: Path | str, router: Router, data: Dataset) -> Fit:
    """Read a record back onto its data set and router.

    Raises:
        ArtifactError: The record belongs to another router.
        DataError: The data set lacks a question of the record.
    """
    from forethought.router.training import Fit

    manifest, tensors, _ = load_artifact(Path(path))
    if manifest.get("kind") != KIND or manifest.get("router") != router.artifact:
        raise ArtifactError(f"{path} is not the fit record of router {router.artifact[:12]}")
    place = {question.id: row for row, question in enumerate(data.questions)}
    if missing := [id for part in PARTS for id in manifest["questions"][part] if id not in place]:
        raise DataError(f"question {missing[0]!r} of the fit is not in the data set ({len(missing)} are missing)")
    rows = {part: np.array([place[id] for id in manifest["questions"][part]], dtype=np.intp) for part in PARTS}
    return Fit(
        router=router,
        parts=Parts(**rows, folds=tensors["folds"]),
        head=FittedHead(
            router.heads.scorer, tensors["out_of_fold"], tensors["raw_out_of_fold"], tuple(manifest["one_class"])
        ),
        certified=_certified(router, tensors["p_values"]),
        best_single=int(manifest["best_single"]),
        layers=manifest["layers"],
    )


def _certified(router: Router, p_values: np.ndarray) -> Certified:
    from forethought.allocation import policy_from

    found = router.manifest["certificate"]
    path = tuple(policy_from(step["policy"], step["setting"]) for step in found["path"])
    chosen = {"policy": found["policy"], "setting": found["setting"]}
    position = found["path"].index(chosen)
    certificate = Certificate(
        index=None if found["verdict"] == "insufficient evidence" else position - 1,
        p_values=p_values,
        tolerance=found["tolerance"],
        delta=found["delta"],
        n=found["n"],
        smallest_tolerance=found["smallest_tolerance"],
    )
    return Certified(router.policy, path, certificate, found["safe"])
