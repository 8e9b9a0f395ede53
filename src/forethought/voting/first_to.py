"""First to k: the first answer given k times."""

from __future__ import annotations

from forethought.voting.sequential_vote import SequentialVote


def first_to(consensus: int = 5, cap: int = 40) -> SequentialVote:
    """First-to-k: a sequential vote whose cap is only a guard, not a part of the rule.

    The rule stops exactly as a sequential vote does, so it is one. Between two answers it draws at most
    2k - 1 whatever the cap, and then returns what a majority vote of 2k - 1 would have, sooner.

    Args:
        consensus: k, equal answers that settle it.
        cap: Most answers, for questions whose answers scatter.

    Raises:
        ConfigError: `consensus` < 1, or a cap below it.
    """
    return SequentialVote(cap=cap, consensus=consensus)
