"""How a trunk is built and trained."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.errors import ConfigError


@dataclass(frozen=True)
class TrunkTraining:
    """Architecture and optimiser of the trunk; the defaults are the paper's released code's.

    Attributes:
        hidden: Units of the two trunk layers.
        dropout: Share of units dropped after each while training.
        learning_rate: Of Adam.
        weight_decay: Of Adam, L2.
        batch_size: Questions a step.
        max_epochs: Longest training.
        patience: Epochs without an improvement of `min_delta` before it stops.
        min_delta: Least improvement of the selection loss that counts, in nats.
        selection_share: Share of the rows held out to stop the training and choose members.
        selection_seed: Draws that split; one split serves every member.
    """

    hidden: tuple[int, int] = (256, 128)
    dropout: tuple[float, float] = (0.3, 0.2)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 512
    max_epochs: int = 150
    patience: int = 15
    min_delta: float = 1e-4
    selection_share: float = 0.15
    selection_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.selection_share < 1:
            raise ConfigError(f"selection_share must lie in (0, 1), got {self.selection_share}")
        if min(self.batch_size, self.max_epochs, self.patience) < 1:
            raise ConfigError(f"batch_size, max_epochs and patience must be >= 1, got {self}")
