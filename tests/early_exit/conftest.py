"""Tiny decoders with random weights, and what is learned at their exits drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from forethought.core import DecodingPolicy
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.models import LanguageModel, load
from forethought.targets.generation import Prompt
from forethought.targets.sampling import sample_key, uniform

torch.set_num_threads(1)
CHAT = "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}<s>assistant"
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {"head_dim": 8},
    "Mistral": {"head_dim": 8, "sliding_window": 5},
    "Gemma2": {"head_dim": 8, "sliding_window": 5, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    "Gemma3": {
        "head_dim": 8, "sliding_window": 5, "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
}  # fmt: skip


def byte_tokenizer() -> transformers.PreTrainedTokenizerFast:
    letters = sorted(ByteLevel.alphabet())
    inner = Tokenizer(BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = ByteLevel(add_prefix_space=False)
    inner.decoder = ByteDecoder()
    inner.add_special_tokens(["<s>", "</s>"])
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    made.chat_template = CHAT
    return made


def tiny(family: str = "Llama", *, seed: int = 0, layers: int = 4, attention: str | None = None) -> LanguageModel:
    """A decoder of a family; norms and biases are random too, so none is a no-op."""
    torch.manual_seed(seed)
    name = f"{family}TextConfig" if family == "Gemma3" else f"{family}Config"
    config = getattr(transformers, name)(
        vocab_size=258, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.2, tie_word_embeddings=False,
        bos_token_id=256, eos_token_id=257, pad_token_id=257, attn_implementation=attention, **FAMILIES[family],
    )  # fmt: skip
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return LanguageModel(f"tiny-{family}", model, byte_tokenizer(), weights=f"{family}{seed}" + "0" * 12)


def with_exits(
    base: LanguageModel, layers: tuple[int, ...] = (1, 2, 3), *, map_rank: int = 3, noise: float = 0.1, **config: Any
) -> ExitModel:
    """Exits whose adapters, maps and gates are random."""
    model = ExitModel(base, ExitConfig(layers, map_rank=map_rank, **config))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
        for gate in model.heads.gates:
            gate.out.weight.add_(torch.randn(gate.out.weight.shape, generator=generator))
    return model


def prompts_of(lengths: list[int], *, shared: int = 2) -> list[Prompt]:
    """Prompts of given lengths with one prefix."""
    generator = torch.Generator().manual_seed(2)
    head = torch.randint(0, 256, (shared,), generator=generator).tolist()
    tails = [torch.randint(0, 256, (length - shared,), generator=generator).tolist() for length in lengths]
    return [Prompt((*head, *tail), shared) for tail in tails]


def every_logits(decoder: ExitDecoder, prompts: list[Prompt]) -> tuple[torch.Tensor, list[Any]]:
    """Logits of every pass (rows, passes, vocabulary), the prompt's first, and the answers; none stops."""
    decoder.stops = lambda token: False
    with torch.no_grad():
        running = decoder._start(prompts, range(len(prompts)), keys_of(len(prompts)))
        found = [running.logits]
        for step in range(1, decoder.policy.max_tokens):
            decoder._advance(running, decoder._choose(running, step - 1), step)
            found.append(running.logits)
        decoder._choose(running, decoder.policy.max_tokens - 1)
    return torch.stack(found, dim=1), running.answers


def keys_of(n: int) -> list[bytes]:
    return [sample_key(0, f"q{i}", 0) for i in range(n)]


class AtRandom:
    """Leaves by a draw of its own, whatever the state; the same in any batch."""

    name = "at-random"
    macs = 0

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def leaves(self, look: Any) -> torch.Tensor:
        draws = [uniform(key, 7919 * look.step + look.exit) for key in look.keys]
        return torch.tensor(draws) < self.probability


@pytest.fixture(scope="session")
def make() -> Callable[..., LanguageModel]:
    return tiny


@pytest.fixture(scope="session")
def exits() -> Callable[..., ExitModel]:
    return with_exits


@pytest.fixture(scope="session")
def drive() -> Callable[..., tuple[torch.Tensor, list[Any]]]:
    return every_logits


@pytest.fixture(scope="session")
def at_random() -> Callable[[float], Any]:
    return AtRandom


@pytest.fixture(scope="session")
def base() -> LanguageModel:
    return tiny()


@pytest.fixture(scope="session")
def model(base: LanguageModel) -> ExitModel:
    """With random adapters, maps and gates; tests do not change it."""
    return with_exits(base)


@pytest.fixture(scope="session")
def prompts() -> list[Prompt]:
    return prompts_of([9, 4, 12, 6, 7])


@pytest.fixture(scope="session")
def make_prompts() -> Callable[..., list[Prompt]]:
    return prompts_of


@pytest.fixture(scope="session")
def keys() -> list[bytes]:
    return keys_of(5)


@pytest.fixture
def greedy() -> DecodingPolicy:
    return DecodingPolicy(max_tokens=12)


@pytest.fixture(scope="session")
def arithmetic_exits() -> ExitModel:
    """Untrained heads and adapters, far enough from neutral that every exit is taken."""
    model = ExitModel(load("arithmetic-small"), ExitConfig((1, 2, 4), map_rank=2))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model
