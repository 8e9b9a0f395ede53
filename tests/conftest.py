"""What several packages test with: a tiny decoder on disk, and a data set whose signal we planted ourselves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from forethought.core import FeatureSpec, Outcome, Prices, Question, Target, content_hash
from forethought.outcomes import Outcomes
from forethought.router import Dataset, Fit, FitConfig, PriceList, assemble, fit_router

CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
NAMES = ("north", "south", "middling", "dear", "hopeless")
PRICES = {
    "north": Prices(1.0, 2.0),
    "south": Prices(1.0, 2.0),
    "middling": Prices(0.2, 0.4),
    "dear": Prices(10.0, 20.0),
    "hopeless": Prices(0.1, 0.1),
}
N = 360
WORDS = ("river", "metal", "number", "planet", "verb", "colour", "island", "engine")


class PlantedEncoder:
    """A protocol encoder without torch: every vector is drawn from the question's text.

    Layer 2 at `last` carries what decides success, in three directions; everything else is noise.
    """

    n_layers = 3
    width = 12
    window = 64
    readouts = ("last", "mean")

    def __init__(self, name: str = "planted", *, weights: str = "w", template: str = "t", signal: float = 3.0) -> None:
        self.name = name
        self.weights = weights
        self.template = template
        self.signal = signal
        self.system = None

    def spec(self, layers: Sequence[int], readout: str) -> FeatureSpec:
        return FeatureSpec(self.name, self.weights, self.template, tuple(layers), readout)

    def encode(self, questions: Sequence[Question], *, layers: Sequence[int], readouts: Sequence[str]) -> np.ndarray:
        columns = [self.readouts.index(readout) for readout in readouts]
        return np.stack([self._states(question.text) for question in questions])[:, list(layers)][:, :, columns]

    def lengths(self, questions: Sequence[Question]) -> np.ndarray:
        return np.array([len(question.text.split()) for question in questions], dtype=np.int64)

    def _states(self, text: str) -> np.ndarray:
        rng = np.random.default_rng(_seed(self.name + text))
        states = rng.normal(size=(self.n_layers + 1, len(self.readouts), self.width)).astype(np.float32)
        states[2, 0, :3] += self.signal * latent(text).astype(np.float32)
        return states


def _seed(text: str) -> int:
    return int(content_hash(text)[:8], 16)


def latent(text: str) -> np.ndarray:
    """Where a question points (north or south), how hard it is, how long its answers are; shape (3,)."""
    return np.random.default_rng(_seed(text)).normal(size=3)


def success_rates(text: str) -> np.ndarray:
    """True P(success) of each target, shape (5,): the first two are good at opposite questions."""
    pole, hardness, _ = latent(text)
    logits = np.array([4 * pole, -4 * pole, 0.3 - hardness, 1.0 - 2 * hardness, -np.inf])
    return 1 / (1 + np.exp(-logits))


def make_questions(n: int = N) -> list[Question]:
    """Questions of eight groups and many lengths, whose words say nothing."""
    rng = np.random.default_rng(0)
    texts = (f"question {i} on a {' '.join(rng.choice(WORDS, size=rng.integers(2, 12)))}" for i in range(n))
    return [
        Question.ask(text, id=f"q{i}", answers=("yes",), group=WORDS[i % len(WORDS)]) for i, text in enumerate(texts)
    ]


def make_outcomes(questions: Sequence[Question], seed: int = 1) -> Outcomes:
    """One greedy answer of each target; a fifth of `dear`'s labels is missing, `hopeless` never succeeds."""
    rng = np.random.default_rng(seed)
    rows = []
    for question in questions:
        right = rng.random(5) < success_rates(question.text)
        length = 10 * np.exp(0.5 * latent(question.text)[2])
        for k, name in enumerate(NAMES):
            rows.append(
                Outcome(
                    question.id,
                    name,
                    success=None if name == "dear" and rng.random() < 0.2 else float(right[k]),
                    answer="yes" if right[k] else "no",
                    text="yes" if right[k] else "no",
                    input_tokens=3 + (2 if name == "dear" else 1) * len(question.text.split()),
                    output_tokens=max(1, int(length * (k + 1))),
                )
            )
    return Outcomes.from_rows(rows)


class Planted(NamedTuple):
    """A data set and all it was made from."""

    data: Dataset
    questions: list[Question]
    outcomes: Outcomes
    encoder: PlantedEncoder
    prices: PriceList
    config: FitConfig
    assemble: Callable[..., Dataset]


@pytest.fixture(scope="session")
def make_encoder() -> type[PlantedEncoder]:
    return PlantedEncoder


@pytest.fixture(scope="session")
def outcomes_of() -> Callable[..., Outcomes]:
    return make_outcomes


@pytest.fixture(scope="session")
def questions_of() -> Callable[..., list[Question]]:
    return make_questions


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Planted signal in layer 2 at `last`; five targets, one with one class, one with missing labels."""
    from forethought.activations import extract

    questions, encoder = make_questions(), PlantedEncoder()
    outcomes = make_outcomes(questions)
    store = extract(encoder, questions, tmp_path_factory.mktemp("planted") / "store")
    config = FitConfig(targets=NAMES, folds=3, trunk_seeds=1, trunk_keep=1, tolerance=0.05)
    targets = {name: Target(name, f"model of {name}") for name in NAMES}

    def joined(config: FitConfig = config, outcomes: Outcomes = outcomes, stores: Sequence[Any] = (store,)) -> Dataset:
        return assemble(questions, outcomes, stores, config, targets)

    prices = PriceList.of(NAMES, PRICES, 0.1)
    return Planted(joined(), questions, outcomes, encoder, prices, config, joined)


@pytest.fixture(scope="session")
def dataset(planted: Planted) -> Dataset:
    return planted.data


@pytest.fixture(scope="session")
def prices() -> dict[str, Prices]:
    return dict(PRICES)


@pytest.fixture(scope="session")
def fitted(planted: Planted) -> Fit:
    """The default head on the planted data."""
    return fit_router(planted.data, planted.config, planted.prices)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random 3-layer Llama with a byte tokenizer and a chat template, saved as a model folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    torch.manual_seed(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.chat_template = CHAT
    config = LlamaConfig(
        vocab_size=258, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.4, bos_token_id=256, eos_token_id=257,
        pad_token_id=257,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("model") / "tiny"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def streaming() -> ModuleType:
    """The module of the streaming endpoint that targets, samplers and commands are tested with."""
    spec = importlib.util.spec_from_file_location("sse_server", Path(__file__).parent / "targets" / "sse_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["sse_server"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sse(streaming: ModuleType) -> Iterator[Any]:
    """A running streaming endpoint."""
    with streaming.running() as server:
        yield server


@pytest.fixture(scope="session")
def script(streaming: ModuleType) -> Any:
    """What one request to it gets."""
    return streaming.Script
