"""A bare pass-through on PORT to UPSTREAM: the gateway's own stack with nothing in it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

HEADERS = {"content-type": "application/json"}


def application(upstream: str) -> Starlette:
    """Sends every body on and its answer back; a stream in the pieces in which it arrives."""

    @asynccontextmanager
    async def session(app: Starlette) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(auto_decompress=False, connector=connector) as app.state.session:
            yield

    async def complete(request: Request) -> Response:
        body = await request.body()
        reply = await request.app.state.session.post(upstream, data=body, headers=HEADERS)
        if reply.content_type == "text/event-stream":
            return StreamingResponse(pieces(reply), reply.status, media_type=reply.content_type)
        async with reply:
            return Response(await reply.read(), reply.status, media_type=reply.content_type)

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])], lifespan=session)


async def pieces(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with reply:
        async for piece in reply.content.iter_any():
            yield piece


if __name__ == "__main__":
    port, upstream = int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}/v1/chat/completions"
    uvicorn.run(application(upstream), port=port, log_level="warning", access_log=False)
