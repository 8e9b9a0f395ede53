"""The literal parts of a trace as tokens of one model, and where in it the choice to vote is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt
from forethought.voting.trace import CLOSE, OPEN, SINGLE

Decide = Literal["after_first", "before"]

VOTE, ONCE = "Several attempts.\n", "One attempt.\n"
"""What opens a trace whose choice is made before the first trial."""
TRIAL, END = f"{OPEN} ", f" {CLOSE}\n"

PHRASES = (TRIAL, END, SINGLE, VOTE, ONCE)
"""Literal parts; a tokenizer made for traces has one token for each."""


@dataclass(frozen=True)
class TraceFormat:
    """Token ids of the literal parts.

    The choice is one token: the first of `vote` or the first of `once`. What else a choice writes follows from it.

    Attributes:
        decide: `after_first` is the paper's: another trial, or the closing words, after the first. `before` is a
            choice made in view of the question alone, which fixes the cost before anything is spent.
        trial: Opens a trial.
        end: Closes one.
        vote: Begins what a voting trace writes at the choice.
        once: Begins what a trace of one trial writes there.
        tail: What of `end` is left once its tag can be read. The engine writes it, whoever closes the trial.
        restate: Whether the engine repeats the question at the start of every trial. A small decoder, which attends by
            relative place, then finds it where it has learnt to: right before what it writes.
    """

    decide: Decide
    trial: tuple[int, ...]
    end: tuple[int, ...]
    vote: tuple[int, ...]
    once: tuple[int, ...]
    tail: tuple[int, ...]
    restate: bool = False

    @classmethod
    def of(cls, model: LanguageModel, decide: Decide = "after_first", *, restate: bool = False) -> TraceFormat:
        """The format in a model's vocabulary.

        Args:
            model: Whose.
            decide: Where the choice is made.
            restate: Whether every trial begins with the question.

        Raises:
            ConfigError: An unknown `decide`, or a tokenizer in which both choices begin alike or a part is unknown.
        """
        if decide not in ("after_first", "before"):
            raise ConfigError(f"decide must be 'after_first' or 'before', got {decide!r}")
        vote, once = (TRIAL, SINGLE) if decide == "after_first" else (VOTE, ONCE)
        trial, end = _ids(model, TRIAL), _ids(model, END)
        form = cls(decide, trial, end, _ids(model, vote), _ids(model, once), _tail(model, end), restate)
        if form.vote[0] == form.once[0]:
            raise ConfigError(f"{model.name}: {vote!r} and {once!r} begin with one token, so there is no choice")
        return form

    def restated(self, prompt: Prompt) -> tuple[int, ...]:
        """What the engine writes after the tag that opens a trial: the prompt but for its fixed beginning."""
        return prompt.ids[prompt.shared :] if self.restate else ()

    @property
    def choices(self) -> tuple[int, int]:
        """The tokens that decide: to vote, and not to."""
        return self.vote[0], self.once[0]


def _ids(model: LanguageModel, text: str) -> tuple[int, ...]:
    found = tuple(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    if not found or model.tokenizer.unk_token_id in found:
        raise ConfigError(f"{model.name}: its tokenizer cannot write {text!r}")
    return found


def _tail(model: LanguageModel, end: tuple[int, ...]) -> tuple[int, ...]:
    for place in range(1, len(end) + 1):
        if CLOSE in model.tokenizer.decode(end[:place]):
            return end[place:]
    raise ConfigError(f"{model.name}: its tokenizer cannot write {END!r}")
