"""List prices of December 2024 of the models that have one, from LiteLLM's table of that month."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from converters.files import Files, fields, read_archive, read_json
from forethought.errors import DataError

TABLE = "model_prices_and_context_window_backup.json"
KEYS = {
    "DeepSeek-Coder-V2": "deepseek/deepseek-coder",
    "Mixtral-8x7B-Instruct-v0.1": "mistral/open-mixtral-8x7b",
    "c4ai-command-r-v01": "command-r",
    "gemini-1.5-flash-002": "gemini/gemini-1.5-flash-002",
    "gemini-1.5-pro-002": "gemini/gemini-1.5-pro-002",
}
"""MMLU-Pro's name -> LiteLLM's; open weights at one hosted provider."""


def convert(path: Path) -> Files:
    """USD per million tokens of prompt and answer, from the wheel or from the table inside it.

    Raises:
        DataError: No such table, or it lacks one of the models.
    """
    table = read_table(path)
    if lacking := [key for key in KEYS.values() if not isinstance(table.get(key), dict)]:
        raise DataError(f"{path} has no prices of {lacking}; litellm 1.57.0 has them")
    prices = {model: {"key": key} | per_million(table[key], path) for model, key in KEYS.items()}
    return {"model_prices_2024-12.json": (json.dumps(prices, indent=1) + "\n").encode()}


def read_table(path: Path) -> dict[str, Any]:
    tables = [read_json(path)] if path.suffix == ".json" else list(read_archive(path, TABLE).values())
    if len(tables) != 1 or not isinstance(tables[0], dict):
        raise DataError(f"{path} must be {TABLE} or the wheel of litellm 1.57.0 that holds it")
    return tables[0]


def per_million(entry: dict[str, Any], path: Path) -> dict[str, float]:
    prompt, answer = fields(entry, ["input_cost_per_token", "output_cost_per_token"], path)
    # Rounded, since a price per token times a million is not the decimal number that the list says.
    return {"input_per_m": round(prompt * 1e6, 9), "output_per_m": round(answer * 1e6, 9)}
