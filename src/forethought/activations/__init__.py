"""One prefill a question: encoders, readouts, sharded stores, and what each layer shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ActivationStore": "store",
        "Encoder": "base",
        "Features": "base",
        "Fisher": "fisher",
        "LayerRow": "diagnostics",
        "TargetPrefill": "target_prefill",
        "TransformersEncoder": "transformers_encoder",
        "anisotropy": "geometry",
        "effective_dimension": "geometry",
        "extract": "extraction",
        "fisher_separability": "fisher",
        "encoders": "loading",
        "layer_report": "diagnostics",
        "load_encoder": "loading",
        "read_prefill": "target_prefill",
        "within_group_fisher": "fisher",
    },
)

if TYPE_CHECKING:
    from forethought.activations.base import Encoder as Encoder
    from forethought.activations.base import Features as Features
    from forethought.activations.diagnostics import LayerRow as LayerRow
    from forethought.activations.diagnostics import layer_report as layer_report
    from forethought.activations.extraction import extract as extract
    from forethought.activations.fisher import Fisher as Fisher
    from forethought.activations.fisher import fisher_separability as fisher_separability
    from forethought.activations.fisher import within_group_fisher as within_group_fisher
    from forethought.activations.geometry import anisotropy as anisotropy
    from forethought.activations.geometry import effective_dimension as effective_dimension
    from forethought.activations.loading import encoders as encoders
    from forethought.activations.loading import load_encoder as load_encoder
    from forethought.activations.store import ActivationStore as ActivationStore
    from forethought.activations.target_prefill import TargetPrefill as TargetPrefill
    from forethought.activations.target_prefill import read_prefill as read_prefill
    from forethought.activations.transformers_encoder import TransformersEncoder as TransformersEncoder
