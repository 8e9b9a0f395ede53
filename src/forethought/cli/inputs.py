"""What several verbs read: a data set joined from files, priced by a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forethought.router import Dataset, FitConfig, PriceList
    from forethought.targets.pool import Pool


@dataclass(frozen=True)
class Inputs:
    """Files of a fit or an evaluation; None stands for the committed file of the main job."""

    activations: Sequence[Path]
    questions: Path | None = None
    outcomes: Path | None = None
    pool: Path | None = None

    def read_pool(self) -> Pool:
        """The pool file."""
        from forethought.data import default_pool
        from forethought.targets.pool import read_pool

        return read_pool(self.pool or default_pool())

    def dataset(self, config: FitConfig) -> Dataset:
        """Questions that every store holds, joined with outcomes on ids.

        Raises:
            DataError: No question is in every store.
        """
        from forethought.activations import ActivationStore
        from forethought.data import default_questions, recorded_outcomes
        from forethought.errors import DataError
        from forethought.outcomes import Outcomes
        from forethought.questions import read_questions
        from forethought.router import assemble

        stores = [ActivationStore(path) for path in self.activations]
        held = set.intersection(*(set(store.question_ids) for store in stores))
        questions = [q for q in read_questions(self.questions or default_questions()) if q.id in held]
        if not questions:
            raise DataError(f"no question stands in every activation store of {', '.join(map(str, self.activations))}")
        outcomes = Outcomes.read(self.outcomes or recorded_outcomes())
        pool = self.read_pool()
        if not config.targets:
            config = config.model_copy(update={"targets": tuple(t.name for t in pool.targets)})
        return assemble(questions, outcomes, stores, config, {target.name: target for target in pool.targets})

    def confidence(self, question_ids: Sequence[str]) -> list[str] | None:
        """The encoder's recorded words on its own confidence; None unless every question has some."""
        from forethought.data import recorded_confidence
        from forethought.outcomes import Outcomes

        if not recorded_confidence().exists():
            return None
        words = {row.question_id: row.text or "" for row in Outcomes.read(recorded_confidence())}
        return [words[id] for id in question_ids] if set(question_ids) <= set(words) else None

    def price_list(self, targets: Sequence[str]) -> PriceList:
        """Today's prices of some targets."""
        from forethought.router import PriceList

        pool = self.read_pool()
        return PriceList.of(targets, pool.prices, pool.encoder.price)
