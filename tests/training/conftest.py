"""Tiny decoders that write traces: one with random weights, and Markov chains whose every chance is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from forethought.core import Question
from forethought.models import DecoderSize, LanguageModel, build_decoder, extend_vocabulary
from forethought.training.trace_format import END, ONCE, PHRASES, TRIAL, VOTE
from forethought.voting.trace import SINGLE

torch.set_num_threads(1)
CHAT = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}</s>\n"
Moves = Mapping[str, Mapping[str, float]]


def extended(*, seed: int = 0, context: int = 256, layers: int = 2) -> LanguageModel:
    """A small decoder with one token for each literal part, of larger weights than it is born with: states matter."""
    born = build_decoder(DecoderSize(layers=layers, width=16, heads=2, inner=24), seed=seed)
    model = extend_vocabulary(born, PHRASES, context=context)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.dim() == 2:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def byte_model(family: str = "Llama", *, context: int = 512, **config: Any) -> LanguageModel:
    """A random decoder whose tags are many tokens: one a byte."""
    letters = sorted(ByteLevel.alphabet())
    inner = Tokenizer(BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    inner.decoder = ByteDecoder()
    inner.add_special_tokens(["<s>", "</s>"])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT
    settings = {
        "vocab_size": 258, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": context,
        "initializer_range": 0.3, "tie_word_embeddings": False, "bos_token_id": 256, "eos_token_id": 257,
        "pad_token_id": 257,
    }  # fmt: skip
    torch.manual_seed(0)
    made = getattr(transformers, f"{family}Config")(**settings, **config)
    kind = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    return LanguageModel(f"bytes-{family}", getattr(transformers, f"{family}{kind}")(made).float(), tokenizer)


def chained(model: LanguageModel, moves: Moves) -> LanguageModel:
    """A Llama with a model's tokenizer in which the last token alone decides the next: `moves[last][next]` chances.

    Tokens are named by their text; one without moves is followed by any other, all alike. Attention and feed-forward
    add nothing until they are trained.
    """
    size = len(model.tokenizer)
    logits = torch.zeros(size, size)
    for last, chances in moves.items():
        logits[_id(model, last)] = -40.0
        for after, chance in chances.items():
            logits[_id(model, last), _id(model, after)] = math.log(chance) if chance else -40.0
    width = size + size % 2
    settings = {
        **model.model.config.to_dict(), "hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": width, "intermediate_size": 4, "tie_word_embeddings": False,
    }  # fmt: skip
    made = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).float()
    with torch.no_grad():
        block = made.model.layers[0]
        block.self_attn.o_proj.weight.zero_()
        block.mlp.down_proj.weight.zero_()
        made.model.embed_tokens.weight.copy_(torch.eye(size, width))
        made.lm_head.weight.copy_(torch.nn.functional.pad(logits.T, (0, width - size)) / math.sqrt(width))
    return LanguageModel("chain", made, model.tokenizer, weights="chain" + "0" * 11)


def _id(model: LanguageModel, text: str) -> int:
    (token,) = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(token)


def one_digit(*, vote: float = 0.5, right: float = 0.5, wrong: str = "57", closes: float = 1.0) -> Moves:
    """Trials of one digit, `2` at a chance of `right`; where `closes` does not end one, zeros follow without end."""
    digits = {"2": right, **dict.fromkeys(wrong, (1 - right) / len(wrong))}
    after = {END: closes, "0": 1 - closes}
    return {
        "<answer>": {VOTE: vote, ONCE: 1 - vote},
        TRIAL: digits,
        **dict.fromkeys(digits, after),
        "0": {"0": 1.0},
        END: {TRIAL: vote, SINGLE: 1 - vote},
    }


def questions_of(n: int = 1, **fields: Any) -> list[Question]:
    """Sums whose answer is said to be 2, in texts of different lengths."""
    settings = {"answers": ("2",), "grader": "number", **fields}
    return [Question.ask(f"{'1+' * (i % 3)}{i + 1}=", difficulty=float(i % 2), **settings) for i in range(n)]


@pytest.fixture(scope="session")
def make() -> Callable[..., LanguageModel]:
    return extended


@pytest.fixture(scope="session")
def tiny() -> LanguageModel:
    """Random weights; tests do not change it."""
    return extended()


@pytest.fixture(scope="session")
def make_bytes() -> Callable[..., LanguageModel]:
    return byte_model


@pytest.fixture(scope="session")
def in_bytes() -> LanguageModel:
    return byte_model()


@pytest.fixture(scope="session")
def chain(tiny: LanguageModel) -> Callable[..., LanguageModel]:
    """A chain over the tiny decoder's tokens; of `one_digit` unless moves are given."""

    def made(moves: Moves | None = None, *, context: int = 256, **changes: Any) -> LanguageModel:
        base = tiny if context == tiny.context else extended(context=context)
        return chained(base, one_digit(**changes) if moves is None else moves)

    return made


@pytest.fixture(scope="session")
def byte_chain(in_bytes: LanguageModel) -> LanguageModel:
    """Writes `2 [/TRIAL]` in bytes; a trial may be empty, and both choices are made in both modes."""
    word = dict(zip("[/TRIAL", "/TRIAL]", strict=True))
    moves = {letter: {after: 1.0} for letter, after in word.items()}
    moves |= {"]": {"\n": 1.0}, "\n": {"[": 0.3, "T": 0.3, "S": 0.2, "O": 0.2}}
    moves |= {" ": {"2": 0.5, "5": 0.2, "[": 0.3}, "2": {" ": 1.0}, "5": {" ": 1.0}}
    return chained(in_bytes, moves)


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[Question]]:
    return questions_of
