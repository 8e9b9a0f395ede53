"""Know before you generate: spend LLM inference compute only where it pays.

from forethought import Router

decision = Router.load("runs/demo/router").route("What is the capital of France?")
"""

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Decision": "core",
        "DecodingPolicy": "core",
        "FeatureSpec": "core",
        "Message": "core",
        "Outcome": "core",
        "Prediction": "core",
        "Prices": "core",
        "Question": "core",
        "Router": "router",
        "Target": "core",
    },
)

if TYPE_CHECKING:
    from forethought.core import Decision as Decision
    from forethought.core import DecodingPolicy as DecodingPolicy
    from forethought.core import FeatureSpec as FeatureSpec
    from forethought.core import Message as Message
    from forethought.core import Outcome as Outcome
    from forethought.core import Prediction as Prediction
    from forethought.core import Prices as Prices
    from forethought.core import Question as Question
    from forethought.core import Target as Target
    from forethought.router import Router as Router
