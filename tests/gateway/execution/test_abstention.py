from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.gateway.problems import Problem


def bench(kit: Any, **abstention: Any) -> Any:
    return kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says()}, abstention=abstention)


@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
def test_an_abstention_is_a_completion_that_says_so(kit: Any, path: str) -> None:
    asked = bench(kit, text="I pass.")
    delivery, read = asked.run(kit.request(path=path), kit.plan())
    [choice] = json.loads(read)["choices"]
    assert (choice["message"]["content"] if "chat" in path else choice["text"]) == "I pass."
    assert (choice["finish_reason"], delivery.status, delivery.target) == ("stop", 200, None)
    assert (asked.account.ending, asked.account.cost, asked.upstreams["a"].bodies) == ("abstained", 0, [])


def test_an_abstention_can_be_streamed(kit: Any) -> None:
    asked = bench(kit, text="I pass.")
    _, read = asked.run(kit.request(stream=True, stream_options={"include_usage": True}), kit.plan())
    first, end, usage = kit.events(read)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "I pass."}
    assert (end["choices"][0]["finish_reason"], usage["usage"]["total_tokens"]) == ("stop", 0)


def test_an_abstention_may_be_an_error(kit: Any) -> None:
    asked = bench(kit, response="error")
    with pytest.raises(Problem) as caught:
        asked.run(kit.request(), kit.plan())
    assert (caught.value.status, caught.value.code, asked.account.ending) == (422, "abstained", "abstained")
