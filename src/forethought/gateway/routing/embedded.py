"""Encoders over weights that this process runs anyway."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from forethought.gateway.upstreams.local_engine import shared_model
from forethought.models import CATALOG

if TYPE_CHECKING:
    from forethought.activations import Encoder
    from forethought.router import Router


def encoder_of(router: Router) -> Encoder:
    """The encoder that a router's manifest names; a catalogue model's weights are the ones that local targets run.

    Raises:
        ConfigError: Its weights are not installed.
    """
    named = router.manifest.get("encoder") or {}
    if named.get("source") not in CATALOG or named.get("dtype") != "float32":
        return router.encoder
    from forethought.activations import TransformersEncoder
    from forethought.models import LanguageModel

    shared = shared_model(named["source"])
    # A tokenizer remembers how it was last called: two threads must not share one.
    own = LanguageModel(shared.name, shared.model, copy.deepcopy(shared.tokenizer), weights=shared.weights)
    return TransformersEncoder(own, system=named["system"])
