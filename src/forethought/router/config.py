"""Every setting of a fit, declared once: flags, TOML keys and the manifest's record."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

HeadName = Literal["stack", "average", "logistic", "trunk"]
TEXT_HEADS: tuple[HeadName, ...] = ("stack", "average")
"""Heads over several blocks, of which one may be text."""


class FitConfig(BaseModel):
    """How a router is fitted; the defaults are the main job's."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    targets: tuple[str, ...] = ()
    """Targets to choose between; empty means every target of the outcomes table."""

    label: Literal["greedy", "rate", "majority", "pass"] = "greedy"
    """What counts as success: the first sample, the rate over samples, the majority of `k`, or any of `k`."""

    k: Annotated[int, Field(ge=1)] = 5
    """Samples behind the labels `majority` and `pass`."""

    head: HeadName = "stack"
    """Shared + residual ridges stacked or averaged over blocks, separate logistic heads, or SharedTrunkNet."""

    layers: Literal["fisher", "cv_auc", "exhaustive", "all_layers"] = "cv_auc"
    """How the layer of each readout is chosen, on the training part alone; `all_layers` puts all side by side."""

    readouts: tuple[str, ...] = ("last", "mean")
    """Readouts offered to the head, one block each."""

    text: bool = True
    """Whether the stack or the average also reads TF-IDF of the question; the other heads read activations alone."""

    calibration: Literal["platt", "isotonic", "temperature"] = "platt"
    """Map from logits to probabilities, fitted out of fold; isotonic for the stack and the average only."""

    trunk_seeds: Annotated[int, Field(ge=1)] = 10
    """Networks trained for the trunk ensemble."""

    trunk_keep: Annotated[int, Field(ge=1)] = 5
    """Networks kept, by loss on one selection split."""

    policy: Literal["value", "tolerance", "utility"] = "value"
    """Family of rules whose settings are certified."""

    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """Success that may be lost against the best single target of the training part."""

    delta: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Probability with which the certificate may be wrong."""

    shares: tuple[float, float, float] = (0.5, 0.2, 0.3)
    """Shares of training, certification and report."""

    folds: Annotated[int, Field(ge=3)] = 5
    """Folds for every out-of-fold prediction of the training part; a stack needs three."""

    seed: int = 0
    """Seed of the split, the folds and the networks."""

    @model_validator(mode="after")
    def _check(self) -> FitConfig:
        if abs(sum(self.shares) - 1) > 1e-9 or min(self.shares) <= 0:
            raise ValueError(f"shares must be positive and sum to 1, got {self.shares}")
        if self.trunk_keep > self.trunk_seeds:
            raise ValueError(f"trunk_keep must be <= trunk_seeds, got {self.trunk_keep} of {self.trunk_seeds}")
        if self.calibration == "isotonic" and self.head not in TEXT_HEADS:
            raise ValueError(f"calibration 'isotonic' needs head {' or '.join(TEXT_HEADS)}, got head {self.head!r}")
        if not self.readouts:
            raise ValueError("readouts must name at least one readout, such as 'last' or 'mean'")
        return self
