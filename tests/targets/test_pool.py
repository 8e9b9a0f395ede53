from __future__ import annotations

from pathlib import Path

import pytest

from forethought.core import Prices
from forethought.errors import ConfigError
from forethought.targets.pool import read_pool


def write(path: Path, prices: str) -> Path:
    path.write_text(f'[[target]]\nname = "t"\nmodel = "m"\nprices = {{ {prices} }}\n')
    return path


def test_prices_with_and_without_a_prefix_cache(tmp_path: Path) -> None:
    pool = tmp_path / "pool.toml"
    assert read_pool(write(pool, "input = 1.0, output = 2.0")).prices == {"t": Prices(1.0, 2.0)}
    cached = read_pool(write(pool, "input = 1.0, output = 2.0, cached_input = 0.1")).prices
    assert cached == {"t": Prices(1.0, 2.0, 0.1)}
    with pytest.raises(ConfigError, match="cached_input"):
        read_pool(write(pool, "input = 1.0, output = 2.0, cached_input = -1.0"))
