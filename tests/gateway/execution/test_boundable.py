"""What can cost any amount is refused to keys with a budget, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from forethought.gateway.base import LOCAL, Key, Plan
from forethought.gateway.execution.boundable import extent_of
from forethought.gateway.problems import Problem

BUDGETED = Key("k", daily_budget=10**12)
HOSTED = {"type": "web_search"}
FUNCTION = {"type": "function", "function": {"name": "f"}}


def refused_field(kit: Any, path: str = "/chat/completions", **body: Any) -> str:
    with pytest.raises(Problem) as caught:
        extent_of(kit.request(path=path, **body))
    assert (caught.value.status, caught.value.code) == (400, "not_boundable")
    assert caught.value.message.startswith(f"{caught.value.param}: ")
    return str(caught.value.param)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/responses", "previous_response_id", "resp_1"),
        ("/responses", "Previous_Response_Id", "resp_1"),
        ("/responses", "conversation", "conv_1"),
        ("/responses", "conversation", {"id": "conv_1"}),
        ("/responses", "prompt", {"id": "pmpt_1"}),
        ("/responses", "background", True),
        ("/responses", "context_management", [{"type": "compaction"}]),
        ("/responses", "service_tier", "flex"),
        ("/chat/completions", "service_tier", "priority"),
        ("/chat/completions", "web_search_options", {}),
        ("/chat/completions", "prediction", {"type": "content", "content": "x"}),
        ("/chat/completions", "audio", {"voice": "alloy"}),
        ("/chat/completions", "modalities", ["text", "audio"]),
        ("/chat/completions", "plugins", [{"id": "web"}]),
    ],
)
def test_a_field_without_a_bound(kit: Any, path: str, name: str, value: Any) -> None:
    assert refused_field(kit, path, **{name: value}) == name


@pytest.mark.parametrize("tool", [HOSTED, {"type": "mcp"}, {"type": "code_interpreter"}, {}, {"type": None}])
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_a_tool_that_runs_elsewhere(kit: Any, path: str, tool: dict[str, Any]) -> None:
    assert refused_field(kit, path, tools=[FUNCTION, tool]) == "tools[1]"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "https://a"}},
        {"type": "audio_url", "audio_url": {"url": "https://a"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}},
        {"type": "of_tomorrow"},
    ],
)
def test_a_part_of_a_chat(kit: Any, part: dict[str, Any]) -> None:
    text = {"type": "text", "text": "x"}
    messages = [{"role": "user", "content": "x"}, {"role": "user", "content": [text, part]}]
    assert refused_field(kit, messages=messages) == "messages[1].content[1]"


@pytest.mark.parametrize(
    ("item", "where"),
    [
        ({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}, ".content[0]"),
        ({"role": "user", "content": [{"type": "input_file", "file_url": "https://a"}]}, ".content[0]"),
        ({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}, ".content[0]"),
        ({"role": "user", "content": ["x"]}, ".content[0]"),
        ({"type": "function_call_output", "output": [{"type": "input_file", "file_id": "f"}]}, ".output[0]"),
        ({"type": "item_reference", "id": "msg_1"}, ""),
        ({"id": "msg_1"}, ""),
        ({"type": "message", "id": "msg_1"}, ""),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, ""),
        ({"type": "function_call", "id": "fc_1"}, ""),
        ({"type": "computer_call_output", "output": {"type": "computer_screenshot"}}, ""),
        ({"type": "mcp_call", "id": "x"}, ""),
        ({"type": ["message"], "content": "x"}, ""),
    ],
)
def test_an_item_of_an_input(kit: Any, item: dict[str, Any], where: str) -> None:
    first = {"role": "user", "content": "x"}
    assert refused_field(kit, "/responses", model="a", input=[first, item]) == f"input[1]{where}"


def test_an_earlier_spoken_answer(kit: Any) -> None:
    turns = [{"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": "x"}]
    assert refused_field(kit, messages=turns) == "messages[0].audio"


@pytest.mark.parametrize(
    "body",
    [
        {"service_tier": "auto", "background": False, "audio": None, "modalities": ["text"]},
        {"service_tier": "default", "tools": [FUNCTION, {"type": "custom", "custom": {"name": "g"}}]},
        {"metadata": {"conversation": "x"}, "store": True, "prompt": "of another path"},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]},
    ],
)
def test_what_has_a_bound_is_served_in_a_chat(kit: Any, body: dict[str, Any]) -> None:
    request = kit.request(**body)
    assert extent_of(request).written == len(request.raw)


def test_what_has_a_bound_is_served_in_responses(kit: Any) -> None:
    items = [
        {"role": "user", "content": "x"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://a/b.png", "file_id": None}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
    ]
    request = kit.request(path="/responses", model="a", input=items)
    assert extent_of(request) == (len(request.raw), 9, 1, False)
    assert extent_of(kit.request(path="/responses", model="a")).turns == 1


@pytest.mark.parametrize(("model", "decided"), [("a", False), ("forethought", True)])
def test_only_a_key_with_a_budget_is_refused_routed_and_named_alike(kit: Any, model: str, decided: bool) -> None:
    bench = kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says()})
    plan = kit.plan("a") if decided else Plan(("a",))
    body = {"model": model, "service_tier": "priority"}
    with pytest.raises(Problem, match="service_tier"):
        bench.executor.reserve(kit.request(key=BUDGETED, **body), plan)
    with pytest.raises(Problem, match="service_tier"):
        bench.run(kit.request(key=BUDGETED, **body), plan)
    assert bench.upstreams["a"].bodies == []
    assert bench.run(kit.request(key=LOCAL, **body), plan)[0].status == 200
