from __future__ import annotations

import pytest

from forethought.errors import ConfigError
from forethought.outcomes.graders import grader
from forethought.outcomes.graders.registry import graders


@pytest.mark.parametrize("name", graders.names)
def test_built_in_graders_go_by_their_name(name: str) -> None:
    assert grader(name).name == name
    assert grader(name) is grader(name)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="choice, code, math, number, text"):
        grader("vibes")
    with pytest.raises(ConfigError, match="JudgeGrader"):
        grader("judge")
