"""A policy when only some of the targets may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forethought.allocation.abstention_floor import AbstentionFloor
from forethought.allocation.argmax import Argmax
from forethought.allocation.base import Policy
from forethought.allocation.single import Single


def restricted(policy: Policy, columns: Sequence[int]) -> Policy:
    """Turn a policy over all targets into one over the table of some columns.

    Most rules read nothing but the table. `Single` names a column: it keeps its target where that
    is allowed, and gives way to `Argmax` where it is not.

    Args:
        policy: Over all targets.
        columns: Columns that are left, in the order of the smaller table.
    """
    match policy:
        case AbstentionFloor():
            return replace(policy, policy=restricted(policy.policy, columns))
        case Single():
            return Single(columns.index(policy.index)) if policy.index in columns else Argmax()
        case _:
            return policy
