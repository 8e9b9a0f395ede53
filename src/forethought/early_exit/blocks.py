"""A transformers decoder taken apart into the pieces of one forward pass."""

from __future__ import annotations

import sys
from functools import cached_property
from inspect import signature
from typing import Any

import torch

from forethought.early_exit.frame import Frame, causal_mask
from forethought.errors import ConfigError
from forethought.targets.kv_cache import new_cache

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""Linear maps of an attention block, by the names that Llama-, Qwen- and Gemma-like models give them."""

_ROUNDING = {True: 1e-3, False: 0.1}
"""Largest error, relative to the largest number, that is rounding: in single precision, and in less."""


class Blocks:
    """Embedding, layers, keys and values alone, and readout of a causal language model of transformers.

    Every layer is run by the model's own module, so all layers one after the other give the model's own logits.

    Args:
        model: Llama-, Qwen- or Gemma-like: blocks of one attention with separate projections between a norm
            before it and an MLP, rotary positions.

    Raises:
        ConfigError: Another kind of model.
    """

    def __init__(self, model: Any) -> None:
        _check(model)
        self.model = model
        self.config = model.config
        self.layers: list[Any] = list(model.model.layers)
        named = signature(type(self.layers[0]).forward).parameters
        self._cache_name = "cache" if "cache" in named else "past_key_values"
        self._kinds: list[str] = getattr(self.config, "layer_types", None) or [
            "sliding_attention" if getattr(self.config, "sliding_window", None) else "full_attention"
        ] * len(self.layers)

    @property
    def n_layers(self) -> int:
        """Number of blocks, L."""
        return len(self.layers)

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return int(self.config.hidden_size)

    @property
    def window(self) -> int | None:
        """Most keys that a token sees in a layer with a sliding window; None where no layer has one."""
        return int(self.config.sliding_window) if "sliding_attention" in self._kinds else None

    @torch.no_grad()
    def verify(self) -> None:
        """Check on a few tokens that the pieces give what the model gives, to rounding.

        Raises:
            ConfigError: They do not: this model scales or bypasses something that others leave alone.
        """
        ids = torch.tensor([[0, 1, 0]])
        frame = self.frame(self.embed(ids), torch.arange(3)[None], torch.ones(1, 3, dtype=torch.bool))
        own, filled = new_cache(self.n_layers, 3), new_cache(self.n_layers, 3)
        hidden = self.embed(ids)
        for index in range(self.n_layers):
            self.fill(index, hidden, frame, filled)
            hidden = self.layer(index, hidden, frame, own)
        pairs = {"logits": (self.logits(hidden), self.model(input_ids=ids, use_cache=False).logits)}
        for index, (one, other) in enumerate(zip(own.layers, filled.layers, strict=True)):
            pairs[f"keys of layer {index}"] = (other.keys, one.keys)
            pairs[f"values of layer {index}"] = (other.values, one.values)
        for what, (pieces, whole) in pairs.items():
            error = float((pieces - whole).abs().max() / whole.abs().max())
            if error > _ROUNDING[whole.dtype == torch.float32]:
                raise ConfigError(
                    f"{type(self.model).__name__} taken apart has other {what} than the model itself (relative error "
                    f"{error:.1e}): it does something beside its layers that exits do not know of"
                )

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """h_0 of token ids: (rows, tokens) -> (rows, tokens, width)."""
        hidden: torch.Tensor = self.model.model.embed_tokens(ids)
        return hidden

    def frame(self, hidden: torch.Tensor, positions: torch.Tensor, real: torch.Tensor) -> Frame:
        """Where the tokens at hand stand.

        Args:
            hidden: Any states of theirs, for precision and device.
            positions: (rows, tokens), padding not counted.
            real: Which places of the cache hold a token, theirs included, (rows, keys).
        """
        rotary, masks = {}, {}
        tokens = positions.shape[1]
        for kind in dict.fromkeys(self._kinds):
            which = {"layer_type": kind} if self._rotary_by_kind else {}
            rotary[kind] = self.model.model.rotary_emb(hidden, positions, **which)
            window = self.window if kind == "sliding_attention" else None
            additive = self.config._attn_implementation == "eager"
            masks[kind] = causal_mask(real, tokens, window, additive=additive)
        return Frame(rotary, masks, real.shape[1] - tokens, tokens)

    def layer(self, index: int, hidden: torch.Tensor, frame: Frame, cache: Any) -> torch.Tensor:
        """h_{l+1} from h_l, (rows, tokens, width); the cache takes the layer's keys and values."""
        kind = self._kinds[index]
        output = self.layers[index](
            hidden,
            attention_mask=frame.masks[kind],
            position_embeddings=frame.rotary[kind],
            use_cache=True,
            **{self._cache_name: cache},
        )
        new: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return new

    def fill(self, index: int, hidden: torch.Tensor, frame: Frame, cache: Any) -> None:
        """Compute a layer's keys and values alone, from a residual stream that the layer will not change (CALM)."""
        layer = self.layers[index]
        attention = layer.self_attn
        states = layer.input_layernorm(hidden)
        shape = (*states.shape[:-1], -1, attention.head_dim)
        keys = attention.k_proj(states).view(shape)
        if (norm := getattr(attention, "k_norm", None)) is not None:
            keys = norm(keys)
        keys = keys.transpose(1, 2)
        values = attention.v_proj(states).view(shape).transpose(1, 2)
        cos, sin = frame.rotary[self._kinds[index]]
        keys, _ = self._rotate(keys, keys, cos, sin)
        cache.update(keys, values, index)

    def logits(self, hidden: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Final norm and head: (..., width) -> (..., vocabulary), fp32.

        Args:
            hidden: States to read out.
            tokens: Ids to compute the logits of, instead of the whole vocabulary.
        """
        states = self.model.model.norm(hidden)
        head = self.model.lm_head
        logits: torch.Tensor = (head(states) if tokens is None else _some(head, states, tokens)).float()
        if (cap := getattr(self.config, "final_logit_softcapping", None)) is not None:
            logits = torch.tanh(logits / cap) * cap
        return logits

    @cached_property
    def layer_macs(self) -> list[int]:
        """Multiply-accumulates of each layer's linear maps for one token."""
        return [_weights(layer) for layer in self.layers]

    @cached_property
    def fill_macs(self) -> list[int]:
        """Of each layer's key and value projections alone."""
        return [_weights(layer.self_attn.k_proj) + _weights(layer.self_attn.v_proj) for layer in self.layers]

    @cached_property
    def head_macs(self) -> int:
        """Of the head."""
        return _weights(self.model.lm_head)

    @cached_property
    def attention_macs(self) -> int:
        """Of one layer's attention for one token and one key: a query times a key, and a weight times a value."""
        attention = self.layers[0].self_attn
        return 2 * int(self.config.num_attention_heads) * int(attention.head_dim)

    @cached_property
    def _rotary_by_kind(self) -> bool:
        return "layer_type" in signature(type(self.model.model.rotary_emb).forward).parameters

    @cached_property
    def _rotate(self) -> Any:
        return sys.modules[type(self.layers[0].self_attn).__module__].apply_rotary_pos_emb


def _some(head: Any, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    bias = None if head.bias is None else head.bias[tokens]
    return torch.nn.functional.linear(states, head.weight[tokens], bias)


def _weights(module: Any) -> int:
    linears = [part for part in module.modules() if getattr(part, "in_features", None) and hasattr(part, "weight")]
    return sum(int(part.weight.numel()) for part in linears)


def _check(model: Any) -> None:
    inner = getattr(model, "model", None)
    wanted = {"embed_tokens", "layers", "norm", "rotary_emb"}
    missing = sorted(name for name in wanted if not hasattr(inner, name))
    if not missing and hasattr(model, "lm_head"):
        for layer in inner.layers:  # type: ignore[union-attr]
            parts = [name for name in ("self_attn", "mlp", "input_layernorm") if not hasattr(layer, name)]
            parts += [name for name in PROJECTIONS if not hasattr(getattr(layer, "self_attn", None), name)]
            missing += parts
    elif not missing:
        missing = ["lm_head"]
    if missing:
        raise ConfigError(
            f"{type(model).__name__} has no {missing[0]!r}: exits fit Llama-, Qwen- and Gemma-like decoders, "
            "whose blocks have q_proj, k_proj, v_proj and o_proj after an input_layernorm, and an mlp"
        )
