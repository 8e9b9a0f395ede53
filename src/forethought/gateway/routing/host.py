"""One loaded router, replaced while requests run."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from forethought.core import Prices, Question
from forethought.gateway.routing.loaded import Features, LoadedRouter, characters
from forethought.gateway.routing.reload import Signature, load_steady, signature
from forethought.gateway.routing.sharing import Shared
from forethought.router import Router

if TYPE_CHECKING:
    from forethought.activations import Encoder

log = logging.getLogger(__name__)


class RouterHost:
    """Serves one router and what it reads, off the event loop.

    One thread reads: a prefill takes a core for itself, and tokenizers are not made for two threads. Requests for
    one text at the same time share its prefill, and texts read lately are remembered by a hash of theirs.

    Args:
        path: The router's artifact.
        prices: USD per million tokens by target.
        encoder_price: USD per million prompt tokens that the encoder reads.
        encoder: To use instead of the one that the artifact names.
        cache: Texts remembered.
    """

    def __init__(
        self,
        path: Path,
        prices: Mapping[str, Prices],
        encoder_price: float,
        *,
        encoder: Encoder | None = None,
        cache: int = 4096,
    ) -> None:
        self.path = Path(path)
        self._prices = prices
        self._encoder_price = encoder_price
        self._encoder = encoder
        self._most = cache
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._reloading = asyncio.Lock()
        self._loaded: LoadedRouter | None = None
        self._seen: Signature | None = None
        self._cache: OrderedDict[bytes, Features] = OrderedDict()
        self._reads: Shared[_Read] = Shared(self._remember)

    async def start(self) -> None:
        """Load the router and its encoder, and read once.

        Raises:
            ArtifactError: Missing, altered or of another kind.
            ConfigError: The encoder's weights are not installed.
            FeatureError: The installed encoder is not the router's.
        """
        loaded, self._seen = await asyncio.get_running_loop().run_in_executor(self._worker, self._load)
        await asyncio.wrap_future(self._worker.submit(_warm_up, loaded))
        self._loaded = loaded

    def close(self) -> None:
        """Let go of the reading thread once what it reads is read."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    @property
    def current(self) -> Router:
        """The router that new requests are read by."""
        return self._serving.router

    @property
    def system(self) -> str | None:
        """The system turn that the router was fitted under."""
        return self._serving.encoder.system

    async def read(self, question: Question) -> Features:
        """What the router reads of a question; the features name the router.

        Args:
            question: Of any length; a very long one is bounded before it is tokenised.

        Raises:
            FeatureError: Activations that are not finite.
            DataError: The prompt's fixed part leaves no room in the encoder's window.
        """
        loaded, of = self._serving, characters(question)
        question = loaded.question(question)
        key = _content(question)
        found = self._cache.get(key)
        if found is None or found.router is not loaded.router:
            _, found = await self._reads.run((key, loaded.router), partial(self._submit, key, loaded, question))
        else:
            self._cache.move_to_end(key)
        # What was cut before tokenising is no part of the key: texts that differ only there are read as one.
        return found if found.of == of else replace(found, of=of)

    async def reload_if_changed(self) -> bool:
        """Take up an artifact that changed on disk; whether another router is being served since.

        Requests under way keep the router that read them. One that is half written, altered or does not fit is
        logged once, and the old one stays.
        """
        async with self._reloading:
            found = await asyncio.to_thread(signature, self.path)
            if found is None or found == self._seen:
                return False
            try:
                loaded, seen = await asyncio.to_thread(self._load)
                await asyncio.wrap_future(self._worker.submit(_warm_up, loaded))
            except Exception as error:  # whatever is wrong with it, what is served must go on being served
                self._refuse(error, found)
                return False
            return self._swap(loaded, seen)

    @property
    def _serving(self) -> LoadedRouter:
        assert self._loaded is not None, "RouterHost.start comes first"
        return self._loaded

    def _load(self) -> tuple[LoadedRouter, Signature]:
        load = partial(
            LoadedRouter.load,
            self.path,
            self._prices,
            self._encoder_price,
            encoder=self._encoder,
            earlier=self._loaded,
        )
        return load_steady(self.path, load)

    def _refuse(self, error: Exception, found: Signature) -> None:
        self._seen = found
        log.error("the router at %s was not taken up, the old one stays: %s", self.path, error)

    def _swap(self, loaded: LoadedRouter, seen: Signature) -> bool:
        earlier, self._seen = self._serving, seen
        if loaded.router.artifact == earlier.router.artifact:
            return False
        self._loaded = loaded
        if loaded.router.heads.features.specs != earlier.router.heads.features.specs:
            self._cache.clear()
        return True

    def _submit(self, key: bytes, loaded: LoadedRouter, question: Question) -> Future[_Read]:
        found = self._cache.get(key)
        same = found is not None and found.router.heads.features.specs == loaded.router.heads.features.specs
        return self._worker.submit(_read, key, loaded, question, found if same else None)

    def _remember(self, read: _Read) -> None:
        key, found = read
        if found.router is not self._serving.router:
            return
        self._cache[key] = found
        if len(self._cache) > self._most:
            self._cache.popitem(last=False)


_Read = tuple[bytes, Features]


def _warm_up(loaded: LoadedRouter) -> None:
    """Read once in the thread that is to read, where torch counts its threads: more would fight the event loop."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    loaded.warm_up()


def _read(key: bytes, loaded: LoadedRouter, question: Question, known: Features | None) -> _Read:
    return key, loaded.features(question, known)


def _content(question: Question) -> bytes:
    """A hash of a question's turns, so that no text is kept."""
    hashed = blake2b(digest_size=16)
    for turn in question.messages:
        content = turn.content.encode("utf-8", "surrogatepass")
        hashed.update(b"%s:%d:" % (turn.role.encode(), len(content)))
        hashed.update(content)
    return hashed.digest()
