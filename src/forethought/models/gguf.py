"""From a GGUF file to a safetensors folder, dequantised exactly to fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forethought.errors import DataError

# Written by transformers into the saved tokenizer; facts of the conversion, not of the tokenizer.
_LOADING_ARGUMENTS = ("is_local", "local_files_only")


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write config, tokenizer and `model.safetensors` (fp32) of a GGUF file into `folder`.

    fp32 because block-quantised values (scale * q + offset, fp16 scales) are not exact in bf16.
    The tensors go straight to the file: no model is built, so the peak is one copy of the weights.

    Raises:
        DataError: The file lacks tensors that its architecture needs, or has them in another shape.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
    config = AutoConfig.from_pretrained(str(gguf.parent), **where)
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=skeleton)["tensors"]
    _check_tensors(gguf.name, skeleton, tensors)
    config.architectures = [type(skeleton).__name__]
    config.save_pretrained(folder)
    skeleton.generation_config.save_pretrained(folder)
    for name in _LOADING_ARGUMENTS:
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _check_tensors(name: str, skeleton: Any, tensors: dict[str, Any]) -> None:
    expected = {key: value.shape for key, value in skeleton.state_dict().items()}
    tied = set(skeleton.all_tied_weights_keys)
    wrong = [key for key, shape in expected.items() if key in tensors and tensors[key].shape != shape]
    wrong += sorted(expected.keys() - tensors.keys() - tied)
    if wrong:
        raise DataError(f"{name} does not fit its architecture: tensors missing or of another shape: {wrong[:5]}")
