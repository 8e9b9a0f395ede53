from __future__ import annotations

from typing import Any

import pytest

from forethought.errors import ConfigError
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution import upstreams_of
from forethought.gateway.upstreams import HttpUpstream
from forethought.gateway.upstreams.local import LocalUpstream


def config(*targets: dict[str, Any]) -> GatewayConfig:
    return GatewayConfig.model_validate({"target": targets})


def test_one_base_url_and_key_share_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "secret-1")
    monkeypatch.setenv("TWO", "secret-2")
    made = upstreams_of(
        config(
            {"name": "a", "model": "m", "base_url": "http://x/v1", "api_key_env": "ONE"},
            {"name": "b", "model": "n", "base_url": "http://x/v1/", "api_key_env": "ONE"},
            {"name": "c", "model": "n", "base_url": "http://x/v1", "api_key_env": "TWO"},
            {"name": "d", "model": "smollm2-135m-instruct"},
            {"name": "e", "model": "smollm2-135m-instruct", "policy": {"prompt": "few_shot", "shots": 5}},
        )
    )
    assert made["a"] is made["b"]
    assert made["a"] is not made["c"]
    assert isinstance(made["c"], HttpUpstream)
    one, other = made["d"], made["e"]
    assert isinstance(one, LocalUpstream)
    assert isinstance(other, LocalUpstream)
    assert one.engine is other.engine
    assert (len(one.examples), len(other.examples) > 3) == (0, True)
    assert "secret" not in repr(made)


def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    entry = {"name": "a", "model": "m", "base_url": "http://x/v1", "api_key_env": "NO_SUCH_KEY"}
    with pytest.raises(ConfigError, match=r"\$NO_SUCH_KEY"):
        upstreams_of(config(entry))
