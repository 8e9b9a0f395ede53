"""Traces sampled in batches: the model writes trials and chooses to vote, the engine writes tags and counts votes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.outcomes.graders import Grade, Grader, grader
from forethought.targets import LocalResponder
from forethought.targets.base import check_aligned
from forethought.targets.generation import Generator, Prompt, Rows
from forethought.targets.kv_cache import copy_rows
from forethought.targets.sampling import choose_tokens, sample_key
from forethought.training.trace_format import TraceFormat
from forethought.voting import Poll, SequentialVote
from forethought.voting.trace import CLOSE, OPEN, Outcome, render

# Attention over a cache that is mostly empty reads twice as slowly: its rows lie far apart.
_ROOM = 64
# Copying the cache to drop rows costs about as much as computing an eighth of them once more.
_DROP_SHARE = 1 / 8


@dataclass(slots=True)
class WrittenTrace:
    """One trace.

    Attributes:
        question: What was asked.
        prompt: What was read.
        tokens: What was fed after it, tags included.
        chosen: Which of them the policy chose; the engine wrote the others.
        trials: The text of each trial.
        grades: Of each trial.
        voted: Whether it chose to vote.
        logprob: Of the chosen tokens at temperature 1, nats.
        answer: Of the trace; None where none could be read.
        success: Of the answer, in [0, 1].
        consensus: Whether a vote ended in one.
    """

    question: Question
    prompt: Prompt
    tokens: list[int] = field(default_factory=list)
    chosen: list[bool] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)
    voted: bool = False
    logprob: float = 0.0
    answer: str | None = None
    success: float = 0.0
    consensus: bool = False

    @property
    def text(self) -> str:
        """The trace as the paper writes it, closing words included."""
        outcome: Outcome = "single" if not self.voted else "consensus" if self.consensus else "no consensus"
        votes = sum(grade.answer == self.answer for grade in self.grades)
        return render(self.trials, self.answer or "", outcome, consensus=votes)


class TraceWriter:
    """Samples adaptive traces (arXiv 2501.17974, appendix on prompts).

    The engine opens every trial, closes one that the model does not close, counts the votes and ends the trace at
    consensus, at the cap, or where the window has no room for another trial. So no trace is malformed, and no model
    has to count. Without consensus the answer is the most frequent one, of equals the first.

    A trace is a function of weights, policy, seed, question and sample number, as every local answer is.

    Args:
        model: The policy.
        form: Literal parts and where the choice is made.
        policy: Temperature and nucleus of tokens; `max_tokens` holds for a trial.
        rule: When a vote ends.
        batch_size: Most traces written at once.
        seed: Of the random streams.

    Raises:
        ConfigError: A window without room for two trials, or a rule that one trial settles.
    """

    def __init__(
        self,
        model: LanguageModel,
        form: TraceFormat,
        policy: DecodingPolicy,
        *,
        rule: SequentialVote | None = None,
        batch_size: int = 512,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be >= 1, got {batch_size}")
        self.model = model
        self.form = form
        self.policy = policy
        self.rule = rule or SequentialVote()
        self.batch_size = batch_size
        self.seed = seed
        if self.rule.consensus < 2:
            raise ConfigError(f"a vote takes 2 equal answers or more, got a rule that {self.rule.consensus} settles")
        self.eos = model.eos
        self.closing = _tokens_with(model, CLOSE[-1])
        self.longest_trial = policy.max_tokens + len(form.trial) + len(form.end)
        self._opening = max(len(form.vote), len(form.once)) if form.decide == "before" else 0
        self._least = self._opening + 2 * self.longest_trial
        self._most = self._opening + self.rule.cap * self.longest_trial
        if self._least >= model.context:
            raise ConfigError(
                f"two trials of {policy.max_tokens} tokens do not fit a window of {model.context}: lower max_tokens"
            )

    def write(
        self, questions: Sequence[Question], samples: Sequence[int], *, vote: bool | None = None
    ) -> list[WrittenTrace]:
        """Write a trace of `questions[i]` as sample `samples[i]`.

        Args:
            questions: What is asked; chat prompts.
            samples: One number each.
            vote: Forces the choice; None leaves it to the model.

        Raises:
            DataError: A question whose template alone exceeds the window, or not one sample number for each question.
        """
        check_aligned(questions, samples)
        prompts = self._prompts(questions)
        order = sorted(range(len(questions)), key=lambda i: (prompts[i].prefix, len(prompts[i].ids), i))
        traces: dict[int, WrittenTrace] = {}
        for batch in self._batches(order, prompts):
            rows = [self._row(questions[i], prompts[i], samples[i], vote) for i in batch]
            self._write(rows)
            traces.update(zip(batch, (row.trace for row in rows), strict=True))
        return [traces[i] for i in range(len(questions))]

    def _prompts(self, questions: Sequence[Question]) -> list[Prompt]:
        # A question that is too long is cut so that two trials always fit, with the question in each if it is restated.
        taken = self._least
        if self.form.restate:
            taken += 2 * (self.model.context - self._least) // 3
        room = DecodingPolicy(system=self.policy.system, max_tokens=taken)
        return LocalResponder(self.model, Target("traces", self.model.name, room)).prompts(questions)

    def _batches(self, order: Sequence[int], prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """Cut into batches of one prefix; of one length too where a sliding window would count padding."""
        window = getattr(self.model.model.config, "sliding_window", None) or float("inf")
        batch: list[int] = []
        for i in order:
            first, own = prompts[batch[0]] if batch else prompts[i], prompts[i]
            padded = len(first.ids) != len(own.ids) and len(own.ids) + self._most > window
            if batch and (len(batch) == self.batch_size or first.prefix != own.prefix or padded):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _row(self, question: Question, prompt: Prompt, sample: int, vote: bool | None) -> _Row:
        key = sample_key(self.seed, question.id, sample)
        return _Row(self, WrittenTrace(question, prompt), key, grader(question.grader), vote)

    @torch.inference_mode()
    def _write(self, rows: Sequence[_Row]) -> None:
        """Advance all rows, token by token, until each is done."""
        prompts = list(dict.fromkeys(row.trace.prompt for row in rows))
        place = {prompt: i for i, prompt in enumerate(prompts)}
        logits, cache, mask = Generator(self.model, self.policy, self.eos.__contains__).prefill(prompts)
        index = torch.tensor([place[row.trace.prompt] for row in rows])
        positions = torch.tensor([len(row.trace.prompt.ids) for row in rows])
        restated = self.rule.cap * max(len(self.form.restated(prompt)) for prompt in prompts)
        longest = min(self._most + restated, self.model.context - int(positions.min()))
        live = Rows(
            copy_rows(cache, index, mask.shape[1] + _ROOM),
            mask[index],
            positions,
            logits[index],
            [r.key for r in rows],
        )
        for step in range(longest):
            tokens = self._advance([rows[i] for i in live.origin], live, step)
            done = [rows[i].done for i in live.origin]
            if all(done):
                return
            if sum(done) >= max(1.0, len(done) * _DROP_SHARE):
                tokens = tokens[live.keep([i for i, finished in enumerate(done) if not finished])]
            _make_room(live)
            # Rows that are done run on until enough of them can be dropped, but not out of the window.
            live.positions = live.positions.clamp_max(self.model.context - 1)
            live.advance(self.model.model, tokens)

    def _advance(self, rows: Sequence[_Row], live: Rows, step: int) -> torch.Tensor:
        """Let every row take its next token; the tokens, (rows,)."""
        logits = live.logits
        deciding = torch.tensor([row.deciding for row in rows])
        if bool(deciding.any()):
            allowed = torch.full((logits.shape[1],), float("-inf"))
            allowed[list(self.form.choices)] = 0.0
            logits = torch.where(deciding[:, None], logits + allowed, logits)
        drawn, _ = choose_tokens(logits, self.policy, live.keys, step)
        forced = torch.tensor([row.forced for row in rows])
        tokens = torch.where(forced < 0, drawn, forced)
        logprobs = live.logits.gather(1, tokens[:, None])[:, 0] - live.logits.logsumexp(dim=-1)
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
            if not row.done:
                row.take(token, logprob)
        return tokens


def _make_room(rows: Rows) -> None:
    """Enlarge a cache that is full."""
    layer = rows.cache.layers[0]
    if layer.length == layer.capacity:
        rows.cache = copy_rows(rows.cache, torch.arange(len(rows.keys)), layer.capacity + _ROOM)


def _tokens_with(model: LanguageModel, character: str) -> frozenset[int]:
    """Tokens whose text holds a character of ASCII, which every tokenizer writes as itself."""
    return frozenset(i for token, i in model.tokenizer.get_vocab().items() if character in token)


class _Row:
    """One trace while it is written."""

    def __init__(
        self, writer: TraceWriter, trace: WrittenTrace, key: bytes, grading: Grader, vote: bool | None
    ) -> None:
        self.writer = writer
        self.trace = trace
        self.key = key
        self.done = False
        self.deciding = writer.form.decide == "before"
        self._grading = grading
        self._vote = vote
        self._opening = writer.form.trial + writer.form.restated(trace.prompt)
        self._queue: deque[int] = deque(() if self.deciding else self._opening)
        self._trial: list[int] = []
        self._poll = Poll(writer.rule)

    @property
    def forced(self) -> int:
        """The token that the engine writes next, -1 where the model chooses."""
        if self._queue:
            return self._queue[0]
        if self.deciding and self._vote is not None:
            return self.writer.form.choices[0 if self._vote else 1]
        return -1

    def take(self, token: int, logprob: float) -> None:
        """Go on by one token."""
        trace = self.trace
        chosen = self.forced < 0
        trace.tokens.append(token)
        trace.chosen.append(chosen)
        trace.logprob += logprob if chosen else 0.0
        if self._queue:
            self._queue.popleft()
        elif self.deciding:
            self._decide(token)
        else:
            self._trial.append(token)
            self._read()

    def _decide(self, token: int) -> None:
        form = self.writer.form
        self.deciding = False
        self.trace.voted = token == form.choices[0]
        if form.decide == "before":
            self._queue.extend((form.vote if self.trace.voted else form.once)[1:] + self._opening)
        elif self.trace.voted:
            self._queue.extend(self._opening[1:])
        else:
            self._finish()

    def _read(self) -> None:
        """Whether the trial has ended, and what follows it."""
        writer, trial = self.writer, self._trial
        if not (trial[-1] in writer.closing or trial[-1] in writer.eos or len(trial) == writer.policy.max_tokens):
            return
        # A tag has eight characters, hence at most eight tokens; a few more, because the last may carry what follows.
        _, closed, after = writer.model.tokenizer.decode(trial[-2 * len(CLOSE) :]).partition(CLOSE)
        if not closed and trial[-1] not in writer.eos and len(trial) < writer.policy.max_tokens:
            return
        text = writer.model.tokenizer.decode(trial, skip_special_tokens=True).partition(CLOSE)[0]
        text = text.replace(OPEN, " ").strip()
        grade = self._grading.grade(self.trace.question, text)
        self.trace.trials.append(text)
        self.trace.grades.append(grade)
        self._poll.update(grade.answer)
        self._trial = []
        if not after:
            self._queue.extend(writer.form.tail if closed else writer.form.end)
        self._go_on()

    def _go_on(self) -> None:
        """After a trial: the choice, another trial, or the end."""
        form, verdict = self.writer.form, self._poll.verdict
        assert verdict is not None, "a trial was counted"
        if len(self.trace.trials) == 1 and form.decide == "after_first":
            self.deciding = True
        elif not self.trace.voted or verdict.stop or not self._room():
            self._finish()
        else:
            self._queue.extend(self._opening)

    def _room(self) -> bool:
        trace = self.trace
        used = len(trace.prompt.ids) + len(trace.tokens) + len(self._queue)
        restated = len(self._opening) - len(self.writer.form.trial)
        return used + restated + self.writer.longest_trial <= self.writer.model.context

    def _finish(self) -> None:
        trace, verdict = self.trace, self._poll.verdict
        assert verdict is not None, "a trace has a trial"
        self._queue.clear()
        self.done = True
        trace.consensus = trace.voted and verdict.stop and verdict.consensus
        trace.answer = verdict.answer
        if verdict.answer is not None:
            elected = self._poll.ballot.answers.index(verdict.answer)
            trace.success = float(trace.grades[elected].success)
