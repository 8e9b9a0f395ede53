"""What a client gets where no target is worth asking."""

from __future__ import annotations

from forethought.gateway.base import Account, ClientRequest, Delivery
from forethought.gateway.config import ROUTED, Abstention
from forethought.gateway.execution.completion import CompletionWriter, delivered, usage_of
from forethought.gateway.problems import Problem


def abstain(request: ClientRequest, abstention: Abstention, account: Account) -> Delivery:
    """The configured answer of nobody, which costs nothing.

    Raises:
        Problem: 422 `abstained`, where the configuration says that it is an error.
    """
    account.ending = "abstained"
    if abstention.response == "error":
        raise Problem(422, "no target is likely enough to be right at its price", code="abstained")
    writer = CompletionWriter.to(request, ROUTED)
    return delivered(request, writer.whole(abstention.text, "stop", usage_of(0, 0)), None, {})
