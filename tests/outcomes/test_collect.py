from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.core import Prices, Question, Target, content_hash
from forethought.errors import ArtifactError, ConfigError, DataError, UpstreamError
from forethought.outcomes.collect import MANIFEST, MERGED, CollectOptions, collect
from forethought.outcomes.graders.text import TextGrader
from forethought.outcomes.table import Outcomes
from forethought.targets.base import Finish, Response

QUESTIONS = [Question.ask(f"Question {i}?", id=f"q{i}", answers=("Paris",)) for i in range(10)]


class Scripted:
    """Answers by a hash of question and sample; `pause` slows it down, so that it can be killed."""

    def __init__(self, name: str, *, pause: float = 0.0, finish: Finish = "stop") -> None:
        self.target = Target(name, "scripted")
        self.fingerprint = "1"
        self.asked = 0
        self.pause = pause
        self.finish = finish

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        self.asked += len(questions)
        time.sleep(self.pause)
        return [
            Response(self._text(q, k), 10, 2, time.perf_counter(), self.finish)
            for q, k in zip(questions, samples, strict=True)
        ]

    def _text(self, question: Question, sample: int) -> str:
        return ("Paris", "Lyon", "")[int(content_hash(f"{self.target.name} {question.id} {sample}")[:8], 16) % 3]


def facts(outcomes: Outcomes) -> list[tuple[object, ...]]:
    return outcomes.frame.drop("seconds").rows()


def test_grades_and_counts(tmp_path: Path) -> None:
    prices = {"a": Prices(1.0, 2.0)}
    outcomes = collect([Scripted("a"), Scripted("b")], QUESTIONS, tmp_path, CollectOptions(samples=2, prices=prices))
    rows = list(outcomes)
    assert [(row.question_id, row.target, row.sample) for row in rows[:5]] == [
        ("q0", "a", 0),
        ("q0", "a", 1),
        ("q0", "b", 0),
        ("q0", "b", 1),
        ("q1", "a", 0),
    ]
    assert len(rows) == 40
    assert {(row.text, row.success, row.unparsable, row.answer) for row in rows} == {
        ("Paris", 1.0, False, "paris"),
        ("Lyon", 0.0, False, "lyon"),
        ("", 0.0, True, None),
    }
    assert {row.cost_usd for row in rows if row.target == "a"} == {prices["a"].cost(10, 2)}
    assert {row.cost_usd for row in rows if row.target == "b"} == {None}
    assert facts(Outcomes.read(tmp_path / MERGED)) == facts(outcomes)


def test_a_second_run_asks_nothing_and_gives_the_same(tmp_path: Path) -> None:
    options = CollectOptions(shard_size=3)
    first = collect([Scripted("a")], QUESTIONS, tmp_path, options)
    again = Scripted("a")
    second = collect([again], QUESTIONS, tmp_path, options)
    assert again.asked == 0
    assert second.frame.equals(first.frame)
    assert len((tmp_path / MANIFEST).read_text().splitlines()) == 4


@pytest.mark.parametrize("change", ["fingerprint", "policy", "question"])
def test_what_decides_the_answers_is_asked_again(tmp_path: Path, change: str) -> None:
    collect([Scripted("a")], QUESTIONS, tmp_path)
    other, questions = Scripted("a"), list(QUESTIONS)
    if change == "fingerprint":
        other.fingerprint = "2"
    elif change == "policy":
        other.target = replace(other.target, policy=replace(other.target.policy, system="Be brief."))
    else:
        questions[0] = Question.ask("Another?", id="q0", answers=("Paris",))
    collect([other], questions, tmp_path)
    assert other.asked == len(QUESTIONS)


def test_what_decides_the_grades_only_grades_anew(tmp_path: Path) -> None:
    class Stricter(TextGrader):
        version = 99

    first = collect([Scripted("a")], QUESTIONS, tmp_path)
    again = Scripted("a")
    corrected = [replace(question, answers=("Lyon",)) for question in QUESTIONS]
    outcomes = collect([again], corrected, tmp_path, CollectOptions(graders={"text": Stricter()}))
    assert again.asked == 0
    assert [row.success for row in outcomes] == [float(row.text == "Lyon") for row in first]
    assert outcomes.frame["seconds"].equals(first.frame["seconds"])


def test_parts_of_several_machines_make_the_whole(tmp_path: Path) -> None:
    whole = collect([Scripted("a"), Scripted("b")], QUESTIONS, tmp_path / "one", CollectOptions(shard_size=3))
    asked = 0
    for i in range(3):
        assert not (tmp_path / "many" / MERGED).exists()
        responders = [Scripted("a"), Scripted("b")]
        collect(responders, QUESTIONS, tmp_path / "many", CollectOptions(shard_size=3, shard=(i, 3)))
        asked += sum(responder.asked for responder in responders)
    assert asked == 20
    assert facts(Outcomes.read(tmp_path / "many" / MERGED)) == facts(whole)


def test_a_failed_call_is_missing_and_not_wrong(tmp_path: Path) -> None:
    outcomes = collect([Scripted("a", finish="error")], QUESTIONS, tmp_path)
    assert {(row.success, row.unparsable) for row in outcomes} == {(None, False)}


def test_texts_may_stay_out_of_the_table(tmp_path: Path) -> None:
    assert set(collect([Scripted("a")], QUESTIONS, tmp_path, CollectOptions(keep_text=False)).frame["text"]) == {None}
    assert "Paris" in set(collect([Scripted("a")], QUESTIONS, tmp_path).frame["text"])


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    options = CollectOptions(samples=2, shard_size=4)
    collect([Scripted("a")], QUESTIONS, tmp_path, options, lambda *step: seen.append(step))
    assert seen == [(8, 20, "a"), (16, 20, "a"), (20, 20, "a")]


def test_a_killed_run_resumes_to_the_same_table(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom test_collect import QUESTIONS, CollectOptions, Scripted, collect\n"
        "collect([Scripted('a', pause=0.3)], QUESTIONS, Path(sys.argv[1]), CollectOptions(shard_size=1))"
    )
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    end = time.monotonic() + 60
    while len(list(folder.glob("shards/a/*.parquet"))) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(folder.glob("shards/a/*.parquet")))
    assert 3 <= kept < 10
    with (folder / MANIFEST).open("a") as stream:
        stream.write('{"file": "torn')
    resumed = Scripted("a")
    outcomes = collect([resumed], QUESTIONS, folder, CollectOptions(shard_size=1))
    assert resumed.asked == 10 - kept
    assert facts(outcomes) == facts(collect([Scripted("a")], QUESTIONS, tmp_path / "whole"))
    lines = [line for line in (folder / MANIFEST).read_text().splitlines() if line.endswith("}")]
    assert len({json.loads(line)["file"] for line in lines}) == len(lines) == 10


def test_an_altered_shard_is_refused(tmp_path: Path) -> None:
    collect([Scripted("a")], QUESTIONS, tmp_path)
    (shard,) = tmp_path.glob("shards/a/*.parquet")
    shard.write_bytes(shard.read_bytes() + b"x")
    with pytest.raises(ArtifactError, match="altered"):
        collect([Scripted("a")], QUESTIONS, tmp_path)


def test_names_that_look_alike_on_disk_stay_apart(tmp_path: Path) -> None:
    outcomes = collect([Scripted("a/b"), Scripted("a_b"), Scripted("..")], QUESTIONS, tmp_path)
    assert outcomes.targets == ("a/b", "a_b", "..")
    assert len(list(tmp_path.glob("shards/*/*.parquet"))) == 3


def test_bad_input(tmp_path: Path) -> None:
    class Silent(Scripted):
        def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
            return []

    with pytest.raises(ConfigError, match="two targets"):
        collect([Scripted("a"), Scripted("a")], QUESTIONS, tmp_path)
    with pytest.raises(DataError, match="two questions"):
        collect([Scripted("a")], [*QUESTIONS, QUESTIONS[0]], tmp_path)
    with pytest.raises(UpstreamError, match="gave 0 answers where 10"):
        collect([Silent("a")], QUESTIONS, tmp_path)
    with pytest.raises(ConfigError, match="shard must be"):
        CollectOptions(shard=(2, 2))
    with pytest.raises(ConfigError, match="samples"):
        CollectOptions(samples=0)
