"""Let targets answer questions, grade the answers and keep what happened, each answer exactly once.

A shard is one target's answers to one slice of the questions: an immutable Parquet file named
by the content that produced it, renamed into place, with a line in `manifest.jsonl`. A run that
was killed finds the finished shards and asks only for the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from forethought.artifacts import file_hash
from forethought.core import Outcome, Prices, Question, content_hash
from forethought.errors import ArtifactError, ConfigError, DataError, UpstreamError
from forethought.outcomes.graders.base import Grader
from forethought.outcomes.graders.registry import grader
from forethought.outcomes.table import Outcomes

if TYPE_CHECKING:
    from forethought.targets.base import Responder, Response

MERGED = "outcomes.parquet"
MANIFEST = "manifest.jsonl"
Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """How to collect.

    Attributes:
        samples: Answers of each target to each question.
        shard_size: Questions a shard.
        shard: `(i, n)` collects every n-th shard from the i-th on, 0 <= i < n: one machine's part.
        prices: Target name -> prices, for the cost of each answer; recorded answers are priced anew.
        keep_text: Whether the merged table holds the raw texts; the shards always do.
        graders: Graders that stand before the registry's of the same name, such as a judge.
    """

    samples: int = 1
    shard_size: int = 64
    shard: tuple[int, int] = (0, 1)
    prices: Mapping[str, Prices] = field(default_factory=dict)
    keep_text: bool = True
    graders: Mapping[str, Grader] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index, count = self.shard
        if self.samples < 1 or self.shard_size < 1:
            raise ConfigError(
                f"samples and shard_size must be >= 1, got samples={self.samples}, shard_size={self.shard_size}"
            )
        if not 0 <= index < count:
            raise ConfigError(f"shard must be (i, n) with 0 <= i < n, got {self.shard}")


@dataclass(frozen=True, slots=True)
class _Shard:
    """One target's answers to one slice.

    The file's name is a hash of what is asked, then one of how it is graded: where only the
    second differs, the recorded texts are graded anew and nobody is asked again.
    """

    responder: Responder
    questions: tuple[Question, ...]
    graders: Mapping[str, Grader]
    samples: int
    folder: Path

    @property
    def target(self) -> str:
        return self.responder.target.name

    @property
    def answers(self) -> int:
        return len(self.questions) * self.samples

    @property
    def asked(self) -> str:
        """Hash of all that decides what the target says."""
        return _hash(
            target=asdict(self.responder.target),
            fingerprint=getattr(self.responder, "fingerprint", None),
            questions=[(question.id, question.messages, question.group) for question in self.questions],
            samples=self.samples,
        )

    @property
    def graded(self) -> str:
        """Hash of all that decides what is right, which makes the questions' content whole."""
        used = {question.grader for question in self.questions}
        return _hash(
            graders={name: self.graders[name].version for name in used},
            questions=[asdict(question) for question in self.questions],
        )

    @property
    def path(self) -> Path:
        return self.folder / f"{self.asked[:40]}-{self.graded[:8]}.parquet"

    @property
    def recorded(self) -> Path | None:
        """A finished shard of the same answers, graded against other references or by another version."""
        return next(iter(sorted(self.folder.glob(f"{self.asked[:40]}-*.parquet"))), None)


def collect(
    responders: Sequence[Responder],
    questions: Sequence[Question],
    out: Path,
    options: CollectOptions | None = None,
    report: Report | None = None,
) -> Outcomes:
    """Ask every target every question, grade and record; what is already recorded is not asked again.

    Args:
        responders: Targets that can be asked, names unique. One that has an attribute
            `fingerprint` (weights, template, seed) is asked again when it changes.
        questions: Ids unique, each with a known grader.
        out: Folder for `shards/`, `manifest.jsonl` and, once every shard is there,
            `outcomes.parquet`. Several processes may share it.
        options: See `CollectOptions`.
        report: Called with answers done, answers in all and a line of text.

    Returns:
        Rows of this part's shards, ordered by question as given, target as given, sample.

    Raises:
        ConfigError: Two targets of one name, or an unknown grader.
        DataError: Two questions of one id.
        UpstreamError: A responder gave another number of answers than asked for.
        ArtifactError: A recorded shard was altered, or cannot be written.
    """
    options = options or CollectOptions()
    shards = _plan(responders, questions, Path(out), options)
    index, count = options.shard
    mine = shards[index::count]
    listed = _manifest(Path(out) / MANIFEST)
    done, total = 0, sum(shard.answers for shard in mine)
    for shard in mine:
        _complete(shard)
        if shard.path.name not in listed:
            _append(Path(out) / MANIFEST, shard)
        done += shard.answers
        if report is not None:
            report(done, total, shard.target)
    order = [question.id for question in questions]
    if all(shard.path.exists() for shard in shards):
        _merge(shards, order, Path(out), options).write(Path(out) / MERGED)
    return _merge(mine, order, Path(out), options)


def _plan(
    responders: Sequence[Responder], questions: Sequence[Question], out: Path, options: CollectOptions
) -> list[_Shard]:
    """All shards, target by target, so that one model after the other is used."""
    names = [responder.target.name for responder in responders]
    if twice := _first_repeated(names):
        raise ConfigError(f"two targets are named {twice!r}; names must be unique")
    if twice := _first_repeated(question.id for question in questions):
        raise DataError(f"two questions have the id {twice!r}; ids must be unique")
    graders = {name: options.graders.get(name) or grader(name) for name in {q.grader for q in questions}}
    slices = [tuple(questions[i : i + options.shard_size]) for i in range(0, len(questions), options.shard_size)]
    return [
        _Shard(responder, part, graders, options.samples, out / "shards" / _folder(responder.target.name))
        for responder in responders
        for part in slices
    ]


def _complete(shard: _Shard) -> None:
    """Make the shard's file exist."""
    if shard.path.exists():
        return
    recorded = shard.recorded
    Outcomes.from_rows(_regrade(shard, recorded) if recorded else _ask(shard)).write(shard.path)


def _ask(shard: _Shard) -> list[Outcome]:
    questions = [question for question in shard.questions for _ in range(shard.samples)]
    samples = [*range(shard.samples)] * len(shard.questions)
    responses = shard.responder.respond(questions, samples)
    if len(responses) != len(questions):
        raise UpstreamError(
            f"target {shard.target!r} gave {len(responses)} answers where {len(questions)} were asked for: "
            f"{len(shard.questions)} questions x {shard.samples} samples"
        )
    return [_outcome(shard, *answered) for answered in zip(questions, samples, responses, strict=True)]


def _outcome(shard: _Shard, question: Question, sample: int, response: Response) -> Outcome:
    outcome = Outcome(
        question_id=question.id,
        target=shard.target,
        sample=sample,
        text=response.text,
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        seconds=response.seconds,
    )
    # A failed call says nothing about the target's ability: its success stays missing.
    return outcome if response.finish == "error" else _graded(outcome, question, shard.graders)


def _graded(outcome: Outcome, question: Question, graders: Mapping[str, Grader]) -> Outcome:
    grade = graders[question.grader].grade(question, outcome.text or "")
    return replace(outcome, success=grade.success, unparsable=grade.verdict == "unparsable", answer=grade.answer)


def _regrade(shard: _Shard, recorded: Path) -> list[Outcome]:
    by_id = {question.id: question for question in shard.questions}
    rows = Outcomes.read(recorded)
    return [row if row.success is None else _graded(row, by_id[row.question_id], shard.graders) for row in rows]


def _merge(shards: Sequence[_Shard], order: Sequence[str], out: Path, options: CollectOptions) -> Outcomes:
    hashes = _manifest(out / MANIFEST)
    rows = [_priced(row, options) for shard in shards for row in _read(shard, hashes)]
    place = {id: i for i, id in enumerate(order)}
    targets = {name: i for i, name in enumerate(dict.fromkeys(shard.target for shard in shards))}
    return Outcomes.from_rows(sorted(rows, key=lambda row: (place[row.question_id], targets[row.target], row.sample)))


def _read(shard: _Shard, hashes: Mapping[str, str]) -> Outcomes:
    path = shard.path
    if (expected := hashes.get(path.name)) and file_hash(path) != expected:
        raise ArtifactError(f"{path} was altered since it was written; delete it to collect its answers again")
    return Outcomes.read(path)


def _priced(row: Outcome, options: CollectOptions) -> Outcome:
    prices = options.prices.get(row.target)
    known = prices is not None and row.input_tokens is not None and row.output_tokens is not None
    cost = prices.cost(row.input_tokens, row.output_tokens) if known else None  # type: ignore[union-attr, arg-type]
    return replace(row, cost_usd=cost, text=row.text if options.keep_text else None)


def _manifest(path: Path) -> dict[str, str]:
    """Shard file name -> SHA-256; a line torn by a kill is passed over, its shard gets a new one."""
    hashes = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        hashes[Path(entry["file"]).name] = entry["sha256"]
    return hashes


def _append(manifest: Path, shard: _Shard) -> None:
    """Add the shard's line in one write, so that processes may share the file."""
    entry = {
        "file": f"{shard.folder.parent.name}/{shard.folder.name}/{shard.path.name}",
        "sha256": file_hash(shard.path),
        "target": asdict(shard.responder.target),
        "fingerprint": getattr(shard.responder, "fingerprint", None),
        "first_question": shard.questions[0].id,
        "questions": len(shard.questions),
        "samples": shard.samples,
        "forethought": version("forethought"),
    }
    torn = manifest.exists() and not manifest.read_bytes().endswith(b"\n")
    with manifest.open("ab", buffering=0) as stream:
        stream.write(b"\n" * torn + json.dumps(entry, sort_keys=True).encode() + b"\n")
        os.fsync(stream.fileno())


def _hash(**content: object) -> str:
    return content_hash(json.dumps(content, sort_keys=True))


def _folder(target: str) -> str:
    """A target's name as a folder's, kept apart from others that look alike on disk."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in target).lstrip(".")
    return plain if plain == target else f"{plain}-{content_hash(target)[:8]}"


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]
