from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from forethought.models import LanguageModel

torch.set_num_threads(1)
CHAT = "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}<s>assistant"


def byte_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    letters = sorted(ByteLevel.alphabet())
    inner = Tokenizer(BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    inner.decoder = ByteDecoder()
    inner.add_special_tokens(["<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.chat_template = template
    return tokenizer


def tiny_llama(context: int = 512) -> LanguageModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.4,  # far from uniform, so that greedy texts differ between prompts
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=257,
    )
    return LanguageModel("tiny", LlamaForCausalLM(config), byte_tokenizer(CHAT))


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    return tiny_llama()


@pytest.fixture
def build() -> Callable[..., LanguageModel]:
    return tiny_llama
