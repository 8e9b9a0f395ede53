"""An upstream behind HTTP: any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from io import BytesIO

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from forethought.errors import ConfigError
from forethought.gateway.config import Timeouts
from forethought.gateway.upstreams.base import Reply, UpstreamFailure, UpstreamRequest

_LONG = 2**20
"""Bytes of a body beyond which it is sent piece by piece, so that the event loop is not held up."""
_OWN = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)
"""Headers that are the gateway's to set, whatever a client sent."""


class HttpUpstream:
    """Sends requests to one base URL.

    Redirects are not followed and proxies of the environment not used, so the key goes to `base_url` alone. How
    long the first byte may take is for the caller to say, by cancelling.

    Args:
        base_url: Up to and without `/chat/completions`, for instance `https://api.example.com/v1`.
        api_key: Sent as a bearer token.
        timeouts: How long connecting, and a silence within an answer, may last.

    Raises:
        ConfigError: A URL that is not plain http(s).
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeouts: Timeouts) -> None:
        url = URL(base_url)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password or url.query_string:
            raise ConfigError(f"base_url must be http(s)://host[:port]/path without user or query, got {url.host!r}")
        self._base_url = base_url.rstrip("/")
        self._timeouts = timeouts
        self._urls: dict[str, URL] = {}
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._secret = None if api_key is None else api_key.encode()
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"HttpUpstream({self._base_url!r})"

    async def open(self, request: UpstreamRequest) -> Reply:
        """Send a request and read the reply's head.

        Cancelling the task closes the connection.

        Raises:
            UpstreamFailure: `connect`, `reset`, or `malformed` where the reply is no HTTP.
        """
        session = self._session or self._open_session()
        body = request.body if len(request.body) <= _LONG else BytesIO(request.body)
        headers = self._headers
        if request.headers:
            headers = {**{k: v for k, v in request.headers.items() if k.lower() not in _OWN}, **headers}
        try:
            response = await session.request(
                "POST", self._url(request.path), data=body, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UpstreamFailure("connect", f"no connection: {type(error).__name__}") from None
        except aiohttp.ClientResponseError:
            raise UpstreamFailure("malformed", "a reply that is no HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("reset", f"lost before a reply: {type(error).__name__}") from None
        reply = HttpReply(response, self._timeouts.stall)
        return reply if response.status < 400 or self._secret is None else Redacted(reply, self._secret)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._base_url + path)
        return url

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


class HttpReply:
    """The head of an HTTP reply, with its body still to be read.

    Args:
        response: What aiohttp made of it.
        stall: Longest silence within the body, seconds.
    """

    __slots__ = ("_content", "_loop", "_response", "_since", "_stall", "_stalled", "_timer", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, stall: float) -> None:
        self._response = response
        self._content = response.content
        self._loop = asyncio.get_running_loop()
        self._stall = stall
        self._stalled = False
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, several network reads in one where they are already there.

        Raises:
            UpstreamFailure: `stall`, `cut`, or `malformed` where its framing is broken.
        """
        return self

    def __aiter__(self) -> HttpReply:
        return self

    async def __anext__(self) -> bytes:
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._since + self._stall, self._check)
        try:
            chunk = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if self._stalled:
                raise UpstreamFailure("stall", f"silent for {self._stall:g} s", status=self.status) from None
            raise UpstreamFailure("cut", f"ended early: {type(error).__name__}", status=self.status) from None
        except HttpProcessingError:
            raise UpstreamFailure("malformed", "a body that is no HTTP", status=self.status) from None
        finally:
            self._since = None
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def _check(self) -> None:
        """Close the connection if somebody has waited for too long, else look again when that may be.

        One timer a reply, not one a piece; the time in which nobody reads is not the upstream's.
        """
        since = self._loop.time() if self._since is None else self._since
        if since + self._stall <= self._loop.time():
            self._stalled = True
            self._response.close()
        else:
            self._timer = self._loop.call_at(since + self._stall, self._check)

    async def aclose(self) -> None:
        """Close; a body that was not read to its end closes the connection too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._response.close()


class Redacted:
    """An error whose body may repeat the key that it was asked with: read whole, and the key taken out of it.

    Args:
        reply: The error.
        secret: The key.
    """

    def __init__(self, reply: Reply, secret: bytes) -> None:
        self._reply = reply
        self._secret = secret
        self.status = reply.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in reply.headers.items() if secret.decode() not in value
        }

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body without the key, in one piece and as far as it comes.

        Raises:
            UpstreamFailure: Nothing of it came.
        """
        body = bytearray()
        try:
            async for chunk in self._reply.chunks():
                body += chunk
                if len(body) > _LONG:
                    break
        except UpstreamFailure:
            if not body:
                raise
        yield bytes(body).replace(self._secret, b"[redacted]")

    async def aclose(self) -> None:
        """Close the error."""
        await self._reply.aclose()
