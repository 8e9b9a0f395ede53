"""A loaded decoder with its tokenizer, template and fingerprints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

from forethought.core import Message
from forethought.data import small_decoder
from forethought.errors import ArtifactError, ConfigError, UpstreamError
from forethought.models.cache import cache_dir, is_installed, model_path
from forethought.models.catalog import CATALOG
from forethought.models.fingerprint import weights_fingerprint
from forethought.models.template import ChatTemplate

DType = Literal["float32", "bfloat16"]
SMALL_DECODER = "arithmetic-small"
"""Name of the decoder that comes with the package."""
_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "merges.txt", "vocab.txt")


@final
class LanguageModel:
    """A decoder in inference mode: no gradients, no dropout.

    Attributes:
        name: Catalogue name, or the source it was loaded from.
        model: The transformers model.
        tokenizer: The transformers tokenizer.
        chat: The chat template.
        dtype: `float32` (any batch composition gives the same vectors to 1e-4) or `bfloat16` (it does not).
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, weights: str = "unsaved") -> None:
        self.name = name
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.chat = ChatTemplate(tokenizer)
        self.dtype = str(model.dtype).removeprefix("torch.")
        self._weights = weights

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.n_layers} layers, width {self.width}, {self.dtype})"

    @property
    def weights(self) -> str:
        """Fingerprint of the weight files (SHA-256)."""
        return self._weights

    @cached_property
    def template(self) -> str:
        """Fingerprint of the chat template without a system turn; with one, see `chat.fingerprint`."""
        return self.chat.fingerprint()

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return int(self.model.config.hidden_size)

    @property
    def context(self) -> int:
        """Longest input, tokens."""
        return int(self.model.config.max_position_embeddings)

    @property
    def eos(self) -> frozenset[int]:
        """Token ids that end an answer."""
        declared = [self.tokenizer.eos_token_id, self.model.config.eos_token_id]
        declared.append(self.model.generation_config.eos_token_id)
        return frozenset(
            token
            for entry in declared
            for token in (entry if isinstance(entry, list) else [entry])
            if token is not None
        )

    def render(self, messages: Sequence[Message], system: str | None = None, *, limit: int | None = None) -> list[int]:
        """Token ids of a chat up to and including the generation prompt.

        Args:
            messages: The chat, last turn by the user.
            system: System turn put before it.
            limit: Most tokens, by default the model's window. What is too long is cut from the
                middle of the last user turn; the template's own tokens never are.

        Raises:
            DataError: Not even the template fits.
        """
        return self.chat.fit(messages, system, min(limit or self.context, self.context))

    def eoi_length(self, system: str | None = None) -> int:
        """Number of end-of-instruction tokens, those the template puts after the user's text."""
        return self.chat.eoi_length(system)


def load(source: str | Path, *, dtype: DType = "float32", cache: Path | None = None) -> LanguageModel:
    """Load a model: a catalogue name, a local folder, or a hub id.

    Only safetensors are read, and no code that comes with a model is run.

    Args:
        source: `smollm2-135m-instruct`, `./folder` or `owner/name`; `arithmetic-small` is the decoder that
            comes with the package.
        dtype: Precision to run in.
        cache: Cache folder for catalogue names, by default `cache_dir()`.

    Raises:
        ConfigError: A catalogue model that was not fetched, or a source that is none of the three.
        ArtifactError: A folder without config or safetensors.
        UpstreamError: The hub could not be reached.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
    folder = _locate(source, cache)
    if not (folder / "config.json").is_file():
        raise ArtifactError(f"{folder} is no model folder: it has no config.json")
    weights = weights_fingerprint(folder)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
    with no_progress_bar():
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), use_safetensors=True, **options
        )
    return LanguageModel(str(source), model, tokenizer, weights=weights)


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Within it transformers shows no bar: one for a local file that takes a second clutters the caller's output."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _locate(source: str | Path, cache: Path | None) -> Path:
    if (entry := CATALOG.get(str(source))) is not None:
        if not is_installed(entry, cache):
            raise ConfigError(
                f"model {source!r} is not in {cache or cache_dir()}; run: forethought models fetch {source}"
            )
        return model_path(entry, cache)
    if source == SMALL_DECODER:
        return small_decoder()
    if Path(source).is_dir():
        return Path(source)
    if isinstance(source, str) and source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return _snapshot(source)
    known = ", ".join(sorted([*CATALOG, SMALL_DECODER]))
    raise ConfigError(
        f"no model {str(source)!r}: neither a catalogue name ({known}), a folder, nor a hub id owner/name"
    )


def _snapshot(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UpstreamError(f"no folder {source!r}, and it could not be had from the hub: {error}") from error
