from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from forethought.core import Message
from forethought.errors import ArtifactError, ConfigError, DataError
from forethought.models import ChatTemplate, load
from forethought.models.fingerprint import weights_fingerprint
from forethought.models.template import common_prefix, cut_middle

HELLO = [Message("user", "Hello {there}?")]


def test_a_local_folder_loads(folder: Path) -> None:
    model = load(folder)
    assert (model.n_layers, model.width, model.context, model.dtype) == (2, 16, 64, "float32")
    assert not model.model.training
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert load(str(folder), dtype="bfloat16").model.dtype == torch.bfloat16
    assert model.weights == load(folder).weights


def test_the_fingerprint_follows_the_weights(folder: Path) -> None:
    before = weights_fingerprint(folder)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b"\0")
    assert weights_fingerprint(folder) != before


def test_sources_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a catalogue name"):
        load("nothing-here")
    with pytest.raises(ConfigError, match="dtype must be"):
        load(folder, dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match=r"no config\.json"):
        load(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=r"no \.safetensors"):
        load(folder)


def test_render_and_end_of_instruction(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = ChatTemplate(tokenizer)
    assert chat.write(HELLO, "Be kind.") == "<s>system: Be kind.</s><s>user: Hello {there}?</s><s>assistant:"
    ids = chat.encode(HELLO)
    assert tokenizer.decode(ids[len(ids) - chat.eoi_length() :]) == "</s><s>assistant:"
    assert tokenizer.decode(ids[: chat.head_length(HELLO)]).startswith("<s>user:")


def test_a_tail_that_merges_with_the_text_is_the_common_suffix(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = None
    chat = ChatTemplate(tokenizer)
    assert chat.write(HELLO) == "Question: Hello {there}?\nAnswer:"
    # "\nAnswer:" alone is 8 tokens, but after a question mark its newline is part of the token "?\n".
    assert chat.eoi_length() == len("Answer:")


def test_template_fingerprints_tell_template_and_system_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = ChatTemplate(tokenizer)
    with_template = {chat.fingerprint(), chat.fingerprint("a"), chat.fingerprint("b")}
    tokenizer.chat_template = None
    assert len(with_template | {ChatTemplate(tokenizer).fingerprint()}) == 4


def test_the_middle_is_cut_and_the_ends_stay() -> None:
    assert cut_middle(list(range(10)), 2, 3, 8) == [0, 1, 2, 3, 6, 7, 8, 9][:8]
    assert cut_middle(list(range(10)), 2, 3, 6) == [0, 1, 2, 7, 8, 9]
    with pytest.raises(DataError, match="2 \\+ 3 tokens leaves no room"):
        cut_middle(list(range(10)), 2, 3, 5)


def test_render_is_never_longer_than_the_window(folder: Path) -> None:
    model = load(folder)
    ids = model.render([Message("user", "x" * 200)])
    assert len(ids) == 64
    assert model.tokenizer.decode(ids).endswith("</s><s>assistant:")


def test_common_prefix() -> None:
    assert common_prefix([[1, 2, 3], [1, 2], [1, 2, 4]]) == 2
    assert common_prefix([[1], [2]]) == 0
    assert common_prefix([[], [2]]) == 0
