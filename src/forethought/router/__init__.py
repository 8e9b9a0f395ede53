"""The main job as one object: fit a router on what happened, load it, ask it."""

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Dataset": "data",
        "FeatureBlocks": "features",
        "Fit": "training",
        "FitConfig": "config",
        "Heads": "router",
        "InputLength": "costs",
        "Parts": "data",
        "PriceList": "costs",
        "Router": "router",
        "Subspace": "subspace",
        "assemble": "data",
        "choose_features": "training",
        "expected_cost": "costs",
        "fit_head": "heads",
        "fit_router": "training",
        "load_fit": "record",
        "recalibrate": "recalibration",
        "save_fit": "record",
        "split_parts": "data",
    },
)

if TYPE_CHECKING:
    from forethought.router.config import FitConfig as FitConfig
    from forethought.router.costs import InputLength as InputLength
    from forethought.router.costs import PriceList as PriceList
    from forethought.router.costs import expected_cost as expected_cost
    from forethought.router.data import Dataset as Dataset
    from forethought.router.data import Parts as Parts
    from forethought.router.data import assemble as assemble
    from forethought.router.data import split_parts as split_parts
    from forethought.router.features import FeatureBlocks as FeatureBlocks
    from forethought.router.heads import fit_head as fit_head
    from forethought.router.recalibration import recalibrate as recalibrate
    from forethought.router.record import load_fit as load_fit
    from forethought.router.record import save_fit as save_fit
    from forethought.router.router import Heads as Heads
    from forethought.router.router import Router as Router
    from forethought.router.subspace import Subspace as Subspace
    from forethought.router.training import Fit as Fit
    from forethought.router.training import choose_features as choose_features
    from forethought.router.training import fit_router as fit_router
