"""Readers of public outcome tables, one a format: each gives questions and outcomes joined on ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

if TYPE_CHECKING:
    from forethought.outcomes.importers.base import Imported as Imported
    from forethought.outcomes.importers.embedllm import read_embedllm as read_embedllm
    from forethought.outcomes.importers.llmrouterbench import read_llmrouterbench as read_llmrouterbench
    from forethought.outcomes.importers.math import read_math as read_math
    from forethought.outcomes.importers.nvidia import read_nvidia as read_nvidia
    from forethought.outcomes.importers.plain import read_plain as read_plain
    from forethought.outcomes.importers.routellm import read_routellm as read_routellm
    from forethought.outcomes.importers.routerbench import read_routerbench as read_routerbench

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Imported": "base",
        "read_embedllm": "embedllm",
        "read_llmrouterbench": "llmrouterbench",
        "read_math": "math",
        "read_nvidia": "nvidia",
        "read_plain": "plain",
        "read_routellm": "routellm",
        "read_routerbench": "routerbench",
    },
)
