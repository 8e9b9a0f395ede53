"""Tiny decoders with random weights and a byte tokenizer with a ChatML template."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from forethought.activations import TransformersEncoder
from forethought.core import Question
from forethought.models import LanguageModel

torch.set_num_threads(1)

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DIMENSIONS = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def tokenizer(padding_side: str = "right") -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<|im_end|>", "<|im_start|>", *alphabet])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>", padding_side=padding_side
    )
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    fast.chat_template = TEMPLATE
    return fast


def llama(layers: int = 4, *, seed: int = 0, padding_side: str = "right") -> LanguageModel:
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=300, num_hidden_layers=layers, **DIMENSIONS)
    return LanguageModel("tiny", LlamaForCausalLM(config), tokenizer(padding_side), weights=f"seed{seed}")


def gemma(layers: int = 3) -> LanguageModel:
    torch.manual_seed(0)
    config = GemmaConfig(vocab_size=300, num_hidden_layers=layers, head_dim=8, **DIMENSIONS)
    return LanguageModel("tiny-gemma", GemmaForCausalLM(config), tokenizer(), weights="seed0")


def ask(n: int) -> list[Question]:
    """Questions of many lengths."""
    return [Question.ask(f"What is {i}" + " and more" * (i * 7 % 11) + "?", id=f"q{i}") for i in range(n)]


@pytest.fixture(scope="session")
def make_llama() -> Callable[..., LanguageModel]:
    return llama


@pytest.fixture(scope="session")
def make_gemma() -> Callable[..., LanguageModel]:
    return gemma


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    return llama()


@pytest.fixture(scope="session")
def encoder(model: LanguageModel) -> TransformersEncoder:
    return TransformersEncoder(model)


@pytest.fixture(scope="session")
def questions() -> list[Question]:
    return ask(23)


@pytest.fixture(scope="session")
def hashing() -> dict[str, Any]:
    """The names of `hashing_encoder.py`, which is also run as a script."""
    return runpy.run_path(str(Path(__file__).with_name("hashing_encoder.py")))
