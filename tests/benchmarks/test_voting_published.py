from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from forethought.errors import UpstreamError

Import = Callable[[str, str], ModuleType]

ANSWERS = {
    "unanimous": ["a"] * 40,
    "late": ["a", "b"] * 4 + ["b"] * 32,
    "unreadable": [None] * 40,
    "never": ["a", "b"] * 20,
}


def test_packages_that_do_not_install_are_left_out_in_one_line(
    module: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    published = module("voting", "published.published")
    assert published.published(ANSWERS, tmp_path) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("published packages are left out: requirements.txt did not install: ")


def test_a_failed_replay_says_why(module: Import) -> None:
    published = module("voting", "published.published")
    with pytest.raises(UpstreamError, match="the replay failed: ModuleNotFoundError"):
        published.replay(Path(sys.executable), ANSWERS)


@pytest.mark.slow
def test_packages_replay_as_they_are_known_to(module: Import, tmp_path: Path) -> None:
    published = module("voting", "published.published")
    if not (found := published.published(ANSWERS, tmp_path)):
        pytest.skip("the packages do not install here")
    beta = found["its-hub BetaSelfConsistency .95"]
    assert beta[0] == ("a", 4, 35)
    assert [row.charged for row in beta] == [min(40, row.counted + 31) for row in beta]
    alone = found["AdaptiveConsistency beta .95"]
    # One rule, written twice: equal stops; where nothing is settled its-hub draws the winner by lot.
    assert [row.counted for row in beta] == [row.counted for row in alone] == [4, 15, 4, 40]
    assert [row.answer for row in alone] == ["a", "b", None, "a"]
    assert found["its-hub AdaptiveSelfConsistency .75"][:2] == [("a", 2, 2), ("b", 16, 16)]
    assert [row.counted for row in found["AdaptiveConsistency majority .8"]] == [2, 20, 2, 40]
    assert [row.counted for row in found["AdaptiveConsistency entropy .75"]][::3] == [4, 40]
