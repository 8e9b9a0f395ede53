from __future__ import annotations

from pathlib import Path

import pytest

from forethought.artifacts import save_artifact
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


def exits(path: Path, more: str) -> Path:
    path.write_text(f'[[target]]\nname = "t"\nmodel = "m"\n{more}\n')
    return path


def test_a_local_target_may_have_exits(tmp_path: Path) -> None:
    pool = tmp_path / "pool.toml"
    save_artifact(tmp_path / "exits", {"kind": "exits"}, {})
    stated = f'exits = {{ path = "{tmp_path}/exits", threshold = 0.8 }}'
    found = read_pool(exits(pool, stated)).entry("t").exits
    assert found is not None
    assert (found.path, found.threshold) == (f"{tmp_path}/exits", 0.8)
    bare = read_pool(exits(pool, "exits = {}")).entry("t").exits
    assert bare is not None
    assert (bare.path, bare.threshold) == (None, None)
    assert read_pool(exits(pool, "")).entry("t").exits is None


def test_a_folder_without_exits_is_refused_when_the_file_is_read(tmp_path: Path) -> None:
    pool = exits(tmp_path / "pool.toml", f'exits = {{ path = "{tmp_path}/exits" }}')
    with pytest.raises(ConfigError, match=r"pool.toml: target 't': exits.path: .*/exits is no artifact"):
        read_pool(pool)
    save_artifact(tmp_path / "exits", {"kind": "router"}, {})
    with pytest.raises(ConfigError, match=r"target 't': exits.path: .*/exits holds 'router', not exits"):
        read_pool(pool)
    (tmp_path / "exits" / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"target 't': exits.path: .*/exits has schema version None"):
        read_pool(pool)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("exits = { threshold = 1.01 }", r"target 't': exits.threshold: .* less than or equal to 1, got 1.01"),
        ("exits = { threshold = -0.1 }", r"exits.threshold: .* greater than or equal to 0, got -0.1"),
        ("exits = { threshold = nan }", r"exits.threshold"),
        ('exits = { path = "" }', r"exits.path"),
        ("exits = { treshold = 0.5 }", r"unknown key 'treshold', did you mean 'threshold'\?"),
        ('base_url = "http://h/v1"\nexits = {}', r"target 't': exits are for local models"),
    ],
)
def test_exits_that_cannot_be_are_refused(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_pool(exits(tmp_path / "pool.toml", more))
