"""The reference page says what the code does: every setting, header and error code, and every example is run."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from postgres import running as postgres_running
from processes import serving
from pydantic import BaseModel
from raw_http import Heard, chat, once
from running import Running, running

import forethought.gateway
from forethought.allocation import policies
from forethought.cli import app
from forethought.core import DecodingPolicy, Prices
from forethought.gateway.config import GatewayConfig, NamedPolicy, read_config
from forethought.gateway.execution import reserve
from forethought.gateway.serve import DRAIN
from forethought.router import Router
from forethought.targets.pool import EncoderEntry, ExitEntry, PoolEntry, VoteEntry
from forethought.voting.registry import rules

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gateway.md").read_text()
SOURCES = {path: path.read_text() for path in Path(forethought.gateway.__file__).parent.rglob("*.py")}
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = {name[1]: text for text in TOML if (name := re.match(r"# (\S+)\.toml\n", text))}
SECTIONS: Mapping[str, type[Any]] = {
    "### Top level": GatewayConfig,
    "### `[[target]]`": PoolEntry,
    "#### `prices`": Prices,
    "#### `policy`": DecodingPolicy,
    "#### `vote`": VoteEntry,
    "#### `exits`": ExitEntry,
    "### `[encoder]`": EncoderEntry,
    "## Policies and model names": NamedPolicy,
    **{
        f"### `[{name}]`": type(field.default)
        for name, field in GatewayConfig.model_fields.items()
        if isinstance(field.default, BaseModel) and name != "encoder"
    },
}
SERVED_AS = {"north": "large", "south": "large-b", "middling": "small"}
"""What the examples call the planted router's targets."""


def rows(heading: str) -> dict[str, list[str]]:
    """The cells after the first of each table row below a heading, by every name in the first."""
    found: dict[str, list[str]] = {}
    below = PAGE.split(f"\n{heading}\n", 1)[1]
    for line in re.split(r"^#", below, maxsplit=1, flags=re.MULTILINE)[0].splitlines():
        if line.startswith("| `"):
            first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), cells)
    return found


def settings(kind: type[Any]) -> dict[str, str]:
    """The default of each field of a section as the page is to show it."""
    if is_dataclass(kind):
        return {field.name: "required" if field.default is MISSING else shown(field.default) for field in fields(kind)}
    return {
        name: "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
        for name, field in kind.model_fields.items()
    }


def shown(default: Any) -> str:
    match default:
        case None:
            return "none"
        case BaseModel() | DecodingPolicy():
            return "table"
        case frozenset() | tuple():
            return "`[]`" if not default else repr(default)
        case float() if default.is_integer():
            return f"`{int(default)}`"
        case _:
            return f"`{json.dumps(default)}`"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_is_named_with_its_default(heading):
    told = rows(heading)
    assert {name: told[name][0] for name in settings(SECTIONS[heading]) if name in told} == settings(SECTIONS[heading])


def test_every_section_of_the_file_is_looked_at():
    nested = {field.annotation for field in GatewayConfig.model_fields.values()} & set(SECTIONS.values())
    assert len(nested) == len([f for f in GatewayConfig.model_fields.values() if isinstance(f.default, BaseModel)]) > 7


@pytest.mark.parametrize(("heading", "registry"), [("#### `vote`", rules), ("## Policies and model names", policies)])
def test_every_rule_is_named_with_its_settings(heading, registry):
    told = rows(heading)
    for name in registry._builtin:
        parameters = {each.name: each.default for each in inspect.signature(registry[name]).parameters.values()}
        parameters.pop("prior", None)  # no number, so no file can give it
        for setting, default in parameters.items():
            assert f"`{setting}`" in told[name][0], name
            if default is not inspect.Parameter.empty:
                assert f"`{setting}` {shown(default)}".replace("`", "") in told[name][0].replace("`", ""), name


def header_names() -> set[str]:
    """Headers that the code writes or reads, however it spells them."""
    named = {found for text in SOURCES.values() for found in re.findall(r"x-forethought-([a-z-]+)", text)}
    return {f"x-forethought-{name}" for name in named}


def error_codes() -> set[str]:
    text = "\n".join(SOURCES.values())
    plain = re.findall(r'code="(\w+)"', text) + re.findall(r'"code": "(\w+)"', text)
    refused = re.findall(r'raise _refused\("[^"]+", "(\w+)"\)', text)
    constants = re.findall(r"code=(_[A-Z]+)", text)
    named = [found for name in constants for found in re.findall(rf"\b{name}\b.*? = .*", text)]
    return {*plain, *refused, *(code for line in named for code in re.findall(r'"(\w+)"', line))}


def test_every_header_is_on_the_page():
    assert len(header_names()) >= 17
    assert [name for name in header_names() if f"`{name}`" not in PAGE] == []


def test_every_error_code_is_on_the_page_and_every_code_of_the_page_exists():
    told = rows("## Errors")
    assert error_codes() >= {"csrf", "upstream_unavailable", "upstream_rejected", "stream_truncated", "field_refused"}
    assert error_codes() == set(told)


def test_every_metric_is_on_the_page(gateway, provider, target):
    gate = gateway(target=[target("plain", provider)])
    assert gate.chat("plain").status == 200
    kinds = re.findall(r"^# TYPE (\S+) \w+$", gate.ask("//metrics").body.decode(), re.MULTILINE)
    assert len(kinds) > 10
    assert {name for name in kinds if not name.endswith("_created")} == set(rows("## Metrics"))


def test_every_path_is_on_the_page(gateway, provider, target):
    gate = gateway(target=[target("plain", provider)])
    document = gate.ask("//openapi.json").json["paths"]
    told = " ".join(rows("## Endpoints"))
    spelt = {
        f"{method.upper()} {path.replace('{', '<').replace('}', '>')}" for path in document for method in document[path]
    }
    assert len(spelt) == 15
    assert [one for one in sorted(spelt) if one not in told] == []


def test_what_a_plan_and_a_decision_hold_is_on_the_page(routed):
    gate = routed()
    body = {"model": "forethought", "messages": [{"role": "user", "content": "which river"}]}
    assert [name for name in gate.ask("/route", body).json if name not in rows("### The plan")] == []
    decision = gate.ask(f"/decisions/{gate.chat('forethought').headers['x-forethought-decision']}").json
    assert [name for name in decision if name not in rows("### A decision")] == []
    for part in (decision["decision"], decision["reading"], decision["attempts"][0]):
        assert [name for name in part if f"`{name}`" not in PAGE] == []


def test_what_is_reserved_is_on_the_page_in_figures():
    figures = f"{reserve.TOKENS_PER_TEMPLATE} tokens, {reserve.TOKENS_PER_MESSAGE} a message or item"
    assert f"{figures}, {reserve.TOKENS_PER_IMAGE:,} an image" in PAGE
    assert f"{reserve.TOKENS_FOR_TOOLS:,} where there are tools" in PAGE
    assert f"have {DRAIN}\nseconds" in PAGE


@pytest.mark.parametrize("words", ["serve", "keys create", "keys list", "keys revoke", "keys forget"])
def test_every_flag_is_on_the_page(words):
    verb = app
    for word in words.split():
        verb = verb[word]
    shown_ones = [argument for argument in verb.assemble_argument_collection() if argument.show]
    flags = {name for argument in shown_ones for name in argument.names if re.match("--(?!no-)", name)}
    assert "--ledger" in flags
    assert flags - {"--file", "--name", "--id"} <= set(re.findall(r"--[a-z-]+", PAGE))  # those are given by place


@pytest.mark.parametrize("number", range(len(TOML)))
def test_every_toml_on_the_page_is_a_gateway_file(number, tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(TOML[number])
    assert read_config(file).target


@pytest.fixture(scope="session")
def served_router(fitted, tmp_path_factory) -> Path:
    """The planted router under the names of the examples."""
    folder = tmp_path_factory.mktemp("reference") / "router"
    planted = fitted.router
    named = tuple(replace(target, name=SERVED_AS.get(target.name, target.name)) for target in planted.heads.targets)
    heads = replace(planted.heads, targets=named)
    Router(heads, planted.policy, planted.prices, manifest=planted.manifest).save(folder)
    return folder


@pytest.fixture
def example(tmp_path, monkeypatch, provider, ledger_file, served_router) -> Callable[[str], Path]:
    """Writes an example of the page, with the test's own provider, router and ledger in place of the page's."""

    def write(name: str, ledger: str | None = None) -> Path:
        raw = tomllib.loads(EXAMPLES[name])
        text = EXAMPLES[name]
        for entry in raw["target"]:
            provider.behave.setdefault(entry["model"], "ok")
            monkeypatch.setenv(entry["api_key_env"], "sk-of-an-example")
            text = text.replace(entry["base_url"], provider.url)
        text = text.replace("runs/mine/router", str(served_router))
        url = json.dumps(ledger or f"sqlite:///{ledger_file}")
        text = text.replace(f'"{raw["ledger"]}"', url) if "ledger" in raw else f"ledger = {url}\n{text}"
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def served(example, make_encoder) -> Callable[[str], Any]:
    """Serves an example."""

    @contextmanager
    def serve(name: str) -> Iterator[Running]:
        with running(read_config(example(name)), encoder=make_encoder()) as gate:
            yield gate

    return serve


def test_every_example_is_run_here():
    here = Path(__file__).read_text()
    assert len(EXAMPLES) == 7
    assert [name for name in EXAMPLES if not re.search(rf'(served|example)\("{name}"', here)] == []


def test_the_example_of_failover(served, provider):
    with served("failover") as gate:
        chosen = gate.chat("forethought").headers["x-forethought-target"]
        model = {"large": "large-2026", "large-b": "large-b-2026"}[chosen]
        provider.behave[model] = "status-500"
        other = gate.chat("forethought")
        assert other.status == 200
        assert {chosen, other.headers["x-forethought-target"]} == {"large", "large-b"}
        assert other.headers["x-forethought-failed"] == chosen
        assert gate.chat(chosen).status == 500  # by name it is asked of no other


def test_the_example_of_votes(served, provider):
    with served("votes") as gate:
        provider.behave["small-2026"] = "ok+tokens-3"
        voted = gate.chat("forethought")
        assert (voted.status, voted.headers["x-forethought-target"]) == (200, "small")
        assert 3 <= int(voted.headers["x-forethought-votes"]) <= 8
        assert voted.headers["x-forethought-consensus"] == "true"
        asked = len(provider.asked("small-2026"))
        assert "x-forethought-votes" not in gate.chat("small").headers
        assert len(provider.asked("small-2026")) == asked + 1


def test_the_example_of_abstention(served):
    with served("abstention") as gate:
        sure = gate.chat("forethought/sure")
        assert (sure.status, sure.json["error"]["code"]) == (422, "abstained")
        assert sure.headers["x-forethought-target"] == "none"
        assert gate.chat("forethought").headers["x-forethought-target"] == "small"


def test_the_example_of_a_cascade(served, provider):
    with served("cascade") as gate:
        thrifty = gate.chat("forethought/tolerance:1")  # the provider is sure of each token by exp(-0.25), below 0.8
        assert thrifty.headers["x-forethought-escalated"] == "small,large"
        assert thrifty.headers["x-forethought-target"] == "large"
        decision = gate.ask(f"/decisions/{thrifty.headers['x-forethought-decision']}").json
        assert [attempt["target"] for attempt in decision["attempts"] if attempt["cost"]] == ["small", "large"]
        assert all(received.body["logprobs"] for received in provider.requests)


def test_the_example_of_retention(served):
    with served("retention") as gate:
        answer = gate.chat("forethought", "which river is it")
        decision = gate.ask(f"/decisions/{answer.headers['x-forethought-decision']}").json
        assert decision["text"] == "which river is it"


def test_the_example_of_policies(served):
    with served("policies") as gate:
        names = [entry["id"] for entry in gate.ask("/models").json["data"]]
        assert names == ["forethought", "forethought/careful", "forethought/thrifty", "small", "large"]
        assert gate.chat("forethought/thrifty").headers["x-forethought-target"] == "small"
        careful = gate.chat("forethought/careful").headers
        success = dict(part.split("=") for part in careful["x-forethought-success"].split(","))
        assert careful["x-forethought-target"] == max(("small", "large"), key=lambda name: float(success[name]))
        for model, status in {"argmax": 200, "value:0.01": 200, "cascade:0.7": 200, "utility:1": 404}.items():
            assert gate.chat(f"forethought/{model}").status == status, model


async def first_answer(port: int) -> Heard:
    """The answer of a gateway that may not listen yet."""
    for _ in range(500):
        try:
            return await once(port, chat("large"))
        except ConnectionError:
            await asyncio.sleep(0.02)
    raise AssertionError("it never listened")


def test_the_example_of_postgresql_with_two_workers(example):
    with postgres_running() as server:
        file = example("postgres", server.create_database())
        with serving(file, "--workers", 2) as served:
            answer = asyncio.run(first_answer(served.port))
            assert (answer.status, answer.headers["x-forethought-recorded"]) == (200, "true")
            assert served.stop()[0] == 0
