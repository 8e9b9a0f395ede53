"""Targets as things to call: a model under a decoding policy, locally or behind an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "EndpointResponder": "endpoint",
        "LocalResponder": "local",
        "Responder": "base",
        "Response": "base",
        "Retry": "retry",
        "few_shot_prompt": "prompts",
    },
)

if TYPE_CHECKING:
    from forethought.targets.base import Responder as Responder
    from forethought.targets.base import Response as Response
    from forethought.targets.endpoint import EndpointResponder as EndpointResponder
    from forethought.targets.local import LocalResponder as LocalResponder
    from forethought.targets.prompts import few_shot_prompt as few_shot_prompt
    from forethought.targets.retry import Retry as Retry
