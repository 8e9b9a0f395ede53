"""What goes over the wire to an endpoint, and what comes back."""

from __future__ import annotations

import asyncio
import json

import pytest
from asking import failover, rung, upstreams

from forethought.errors import ConfigError
from forethought.gateway.base import Account
from forethought.gateway.config import Timeouts
from forethought.gateway.upstreams import HttpUpstream, UpstreamFailure, UpstreamRequest


def request(model: str, path: str = "/chat/completions", **body: object) -> UpstreamRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "input": "hi", "prompt": "hi", **body}
    return UpstreamRequest(path, json.dumps(body).encode(), body.get("stream") is True)


async def whole(upstream: HttpUpstream, asked: UpstreamRequest) -> bytes:
    reply = await upstream.open(asked)
    try:
        return b"".join([chunk async for chunk in reply.chunks()])
    finally:
        await reply.aclose()


def test_the_body_is_sent_as_it_is_and_the_key_is_the_gateways(provider):
    async def main():
        upstream = HttpUpstream(provider.url + "/", api_key="sk-ours", timeouts=Timeouts())
        theirs = {"Authorization": "Bearer sk-theirs", "X-Title": "t", "host": "evil", "accept-encoding": "gzip"}
        raw = b'{"model":"ok",  "messages":[]}'
        await whole(upstream, UpstreamRequest("/chat/completions", raw, headers=theirs))
        await upstream.aclose()
        assert "sk-ours" not in repr(upstream)

    asyncio.run(main())
    [received] = provider.requests
    assert received.path == "/chat/completions"
    assert received.raw == b'{"model":"ok",  "messages":[]}'
    assert received.headers["authorization"] == "Bearer sk-ours"
    assert received.headers["x-title"] == "t"
    assert received.headers["accept-encoding"] == "identity"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"].startswith("127.0.0.1")


def test_a_long_body_arrives_whole(provider):
    async def main():
        async with upstreams(provider) as (upstream,):
            await whole(upstream, request("ok", filler="x" * 3_000_000))

    asyncio.run(main())
    assert len(provider.requests[0].body["filler"]) == 3_000_000


def test_a_redirect_is_not_followed(provider, other_provider):
    async def main():
        async with upstreams(provider) as (upstream,):
            reply = await upstream.open(request("status-307"))
            assert reply.status == 307
            await reply.aclose()

    asyncio.run(main())
    assert len(provider.requests) == 1


def test_connections_are_used_again_after_whole_answers_and_streams(provider):
    async def main():
        async with upstreams(provider) as (upstream,):
            survivor = failover()
            for i in range(6):
                delivery = await survivor.deliver([rung(upstream, "a", "ok", stream=i % 2 == 0)], Account())
                if delivery.pieces is not None:
                    assert [piece async for piece in delivery.pieces]

    asyncio.run(main())
    assert provider.connections == 1


@pytest.mark.parametrize(("model", "kind"), [("reset", "reset"), ("cut-1", "cut"), ("stall-1", "stall")])
def test_failures_have_their_names(model, kind, provider):
    async def main():
        async with upstreams(provider, stall=0.1) as (upstream,):
            with pytest.raises(UpstreamFailure) as caught:
                await whole(upstream, request(model))
            assert caught.value.kind == kind
            with pytest.raises(UpstreamFailure) as caught:
                await whole(upstream, request(model, stream=True))
            assert caught.value.kind == kind

    asyncio.run(main())


def test_a_slow_reader_is_not_the_upstreams_silence(provider):
    async def main():
        async with upstreams(provider, stall=0.1) as (upstream,):
            reply = await upstream.open(request("ok+pace-0.01+tokens-30", stream=True))
            chunks = reply.chunks()
            await chunks.__anext__()
            await asyncio.sleep(0.25)
            assert [chunk async for chunk in chunks][-1].endswith(b"[DONE]\n\n")
            await reply.aclose()

    asyncio.run(main())


def test_nobody_listens():
    async def main():
        upstream = HttpUpstream("http://127.0.0.1:1/v1", timeouts=Timeouts())
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(request("ok"))
        assert caught.value.kind == "connect"
        await upstream.aclose()

    asyncio.run(main())


def test_a_reply_that_is_no_http_is_malformed():
    async def main():
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        upstream = HttpUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeouts=Timeouts())
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(request("ok"))
        assert caught.value.kind == "malformed"
        await upstream.aclose()
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("url", ["ftp://a/v1", "a/v1", "http://u:p@a/v1", "https://a/v1?key=1", "https:///v1"])
def test_a_base_url_is_plain_http(url):
    with pytest.raises(ConfigError, match="base_url"):
        HttpUpstream(url, timeouts=Timeouts())


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/responses", "/embeddings"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_endpoint_is_passed_on_byte_for_byte(path, stream, provider):
    async def main():
        async with upstreams(provider) as (upstream,):
            asked = request("ok+tokens-5", path, stream=stream and path != "/embeddings", n=2, logprobs=True)
            direct = await whole(upstream, asked)
            one = rung(upstream, "a", "ok")
            account = Account()
            delivery = await failover().forward(type(one)("a", upstream, asked), account)
            got = delivery.body
            if delivery.pieces is not None:
                got = b"".join([piece async for piece in delivery.pieces]) + delivery.last
            assert got == direct
            assert account.ending == "ok"
            assert account.attempts[0].estimated is (asked.stream and path != "/responses")

    asyncio.run(main())
