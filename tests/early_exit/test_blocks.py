from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GraniteConfig, GraniteForCausalLM, LlamaConfig, LlamaForCausalLM

from forethought.early_exit.blocks import Blocks
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.targets.kv_cache import new_cache

FAMILIES = ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Gemma3"]
KINDS = [*((name, "eager") for name in FAMILIES), *((name, "sdpa") for name in FAMILIES if name != "Gemma2")]
IDS = torch.randint(0, 256, (3, 14), generator=torch.Generator().manual_seed(0))
REAL = torch.arange(14) >= torch.tensor([0, 3, 9])[:, None]  # padding on the left
POSITIONS = (REAL.cumsum(dim=1) - 1).clamp_min(0)


@pytest.mark.parametrize(("family", "attention"), KINDS)
@torch.no_grad()
def test_layer_by_layer_is_the_model_itself(make: Callable[..., LanguageModel], family: str, attention: str) -> None:
    model = make(family, attention=attention).model
    whole = model(input_ids=IDS, attention_mask=REAL, position_ids=POSITIONS, use_cache=False).logits
    blocks = Blocks(model)
    hidden = blocks.embed(IDS)
    frame, cache = blocks.frame(hidden, POSITIONS, REAL), new_cache(4, 14)
    for layer in range(4):
        hidden = blocks.layer(layer, hidden, frame, cache)
    pieces = blocks.logits(hidden)
    assert torch.allclose(pieces[REAL], whole[REAL], atol=1e-5)
    assert whole[REAL].std() > 0.1  # or anything would be close


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_filled_keys_and_values_are_those_that_the_layer_writes(
    make: Callable[..., LanguageModel], family: str
) -> None:
    blocks = Blocks(make(family).model)
    hidden = blocks.embed(IDS)
    frame, own, filled = blocks.frame(hidden, POSITIONS, REAL), new_cache(4, 14), new_cache(4, 14)
    for layer in range(4):
        blocks.fill(layer, hidden, frame, filled)
        hidden = blocks.layer(layer, hidden, frame, own)
    for one, other in zip(own.layers, filled.layers, strict=True):
        assert torch.allclose(one.keys, other.keys, atol=1e-6)
        assert torch.allclose(one.values, other.values, atol=1e-6)


@pytest.mark.parametrize("family", ["Llama", "Gemma2"])
@torch.no_grad()
def test_logits_of_some_tokens_are_those_columns(make: Callable[..., LanguageModel], family: str) -> None:
    blocks = Blocks(make(family).model)
    hidden = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    some = torch.tensor([3, 250, 3])
    assert torch.allclose(blocks.logits(hidden, some), blocks.logits(hidden)[..., some], atol=1e-6)


def test_a_capped_model_reads_out_within_its_cap(make: Callable[..., LanguageModel]) -> None:
    blocks = Blocks(make("Gemma2").model)
    assert blocks.logits(1e3 * torch.ones(1, 32)).abs().max() <= 3


def test_a_model_of_another_kind_is_refused() -> None:
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2))
    with pytest.raises(ConfigError, match=r"GPT2LMHeadModel has no 'embed_tokens'.*Llama-, Qwen- and Gemma-like"):
        Blocks(gpt)


def test_a_model_that_scales_beside_its_layers_is_refused() -> None:
    config = GraniteConfig(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, embedding_multiplier=12.0,
    )  # fmt: skip
    blocks = Blocks(GraniteForCausalLM(config).eval())  # it has all the parts
    with pytest.raises(ConfigError, match="GraniteForCausalLM taken apart has other logits than the model itself"):
        blocks.verify()


@pytest.mark.parametrize("family", FAMILIES)
def test_models_that_fit_pass_the_check(make: Callable[..., LanguageModel], family: str) -> None:
    Blocks(make(family).model).verify()


def test_multiply_accumulates_by_hand() -> None:
    config = LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    blocks = Blocks(LlamaForCausalLM(config))
    # q and o: 8 x 8; k and v: 8 x (2 heads of 2); gate, up and down: 8 x 20
    assert blocks.layer_macs == [2 * 64 + 2 * 32 + 3 * 160] * 2
    assert blocks.fill_macs == [2 * 32] * 2
    assert blocks.head_macs == 80
    assert blocks.attention_macs == 2 * 4 * 2  # 4 heads of size 2: query times key, weight times value


def test_windows(make: Callable[..., LanguageModel]) -> None:
    found = {family: Blocks(make(family).model).window for family in FAMILIES}
    assert found == {"Llama": None, "Qwen2": None, "Qwen3": None, "Mistral": 5, "Gemma2": 5, "Gemma3": 5}
