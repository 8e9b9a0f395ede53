"""Extract COUNT short questions into FOLDER with a small model of random weights; print the peak memory in bytes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from forethought.activations import TransformersEncoder, extract
from forethought.core import Question
from forethought.models import LanguageModel


def main(count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    questions = [Question.ask(f"What is {i} plus {i * 7 % 1000}?", id=f"q{i}") for i in range(count)]
    extract(TransformersEncoder(tiny()), questions, folder, layers=(1, 2), readouts=("last", "mean"))
    print(peak_bytes())


def peak_bytes() -> int:
    """High-water mark of this process alone: `getrusage` would keep that of the parent it was forked from."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def tiny() -> LanguageModel:
    """Two blocks of width 64 over bytes."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    vocabulary = {token: i for i, token in enumerate(["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")  # noqa: S106
    return LanguageModel("tiny", LlamaForCausalLM(config), fast, weights="seed0")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
