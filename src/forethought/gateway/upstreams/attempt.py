"""One request to one upstream, from its first byte out to an answer that may be shown."""

from __future__ import annotations

import asyncio

from forethought.gateway.base import Account, Delivery
from forethought.gateway.upstreams.base import Reply, UpstreamFailure
from forethought.gateway.upstreams.dialects import read_whole
from forethought.gateway.upstreams.refusal import refusal_of
from forethought.gateway.upstreams.relay import Relay
from forethought.gateway.upstreams.trial import Trial
from forethought.gateway.upstreams.usage import told_in

_LONGEST_REFUSAL = 2**20
"""Bytes of an error reply that are read."""
_LONGEST_ANSWER = 64 * 2**20
"""Bytes of a whole answer that are read: more than any model writes, embeddings of a full batch included."""


async def attempt(trial: Trial, account: Account, patience: float, until: float) -> Delivery:
    """Ask once. Whatever happens, the attempt is entered into the account: here, or when a stream has ended.

    What fails here has shown nothing, so it costs what its upstream told, and nothing where that told no usage.

    Args:
        trial: What is tried.
        account: Whose ending is set where a stream ends.
        patience: Seconds until the first content of a stream, or a whole answer's first byte.
        until: Time of the trial's clock at which everything must have come.

    Raises:
        UpstreamFailure: There is no answer that may be shown.
    """
    reply: Reply | None = None
    left = trial.left(until)
    try:
        async with asyncio.timeout(min(patience, left)) as limit:
            reply = await trial.rung.upstream.open(trial.rung.request)
            trial.status = reply.status
            if not 200 <= reply.status < 300:
                raise refusal_of(reply.status, reply.headers, await _refused(reply))
            if trial.rung.request.stream and "json" not in reply.headers.get("content-type", ""):
                return await Relay(reply, trial, account, until).begin()
            delivery = await _whole(reply, trial, limit, until)
    except TimeoutError:
        failure = UpstreamFailure("timeout", f"no answer within {min(patience, left):g} s", status=trial.status)
    except UpstreamFailure as error:
        failure = error
    except BaseException:
        trial.cancel()
        if reply is not None:
            await reply.aclose()
        raise
    else:
        trial.succeed()
        account.ending = "ok"
        return delivery
    trial.tokens = 0
    trial.fail(failure)
    if reply is not None:
        await reply.aclose()
    raise failure


async def _whole(reply: Reply, trial: Trial, limit: asyncio.Timeout, until: float) -> Delivery:
    parts: list[bytes] = []
    try:
        await _read(reply, parts, trial, limit, until)
    except UpstreamFailure:
        trial.usage = told_in(b"".join(parts))
        raise
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    try:
        trial.usage, trial.tokens = read_whole(trial.rung.request.path, body)
    except ValueError:
        trial.usage = told_in(body)
        raise UpstreamFailure("malformed", "a success without an answer", status=reply.status) from None
    await reply.aclose()
    return Delivery(reply.status, reply.headers.get("content-type", "application/json"), trial.rung.target, body)


async def _read(reply: Reply, parts: list[bytes], trial: Trial, limit: asyncio.Timeout, until: float) -> None:
    """Read a whole answer into `parts`."""
    length = 0
    async for chunk in reply.chunks():
        if not parts:
            trial.began()
            limit.reschedule(asyncio.get_running_loop().time() + trial.left(until))
        parts.append(chunk)
        length += len(chunk)
        if length > _LONGEST_ANSWER:
            raise UpstreamFailure("malformed", f"an answer of more than {_LONGEST_ANSWER} bytes", status=reply.status)


async def _refused(reply: Reply) -> bytes:
    """The body of an error, as far as it comes."""
    body = bytearray()
    try:
        async for chunk in reply.chunks():
            body += chunk
            if len(body) > _LONGEST_REFUSAL:
                break
    except UpstreamFailure:
        pass
    await reply.aclose()
    return bytes(body)
