"""The models of a workspace, loaded at first use, and torch with them: a command that needs none starts at once."""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial

from models import adapter_store
from models.base import Embedder, Generator, ModelError, Reranker
from models.engines import load_generator
from models.store import Model, installed, locate
from rag.config import Settings
from rag.store.records import EmbedderIdentity

logger = logging.getLogger(__name__)


class LoadedModels:
    """
    The configured embedder and generator, and the embedders that collections were built with; for several threads.

    Args:
        settings: which models, on which device.
        embedder: takes the place of the configured one.
        generator: takes the place of the configured one.
        reranker: takes the place of the configured one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        generator: Generator | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._settings = settings
        self._device = None if settings.device == "auto" else settings.device
        self._embedder = embedder
        self._embedders = {embedder.weights_hash: embedder} if embedder else {}
        self._generator = generator
        self._rerankers: list[Reranker | None] = [reranker] if reranker else []
        self._loading = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        """The configured embedder, loaded now if it was not."""
        with self._loading:
            if self._embedder is None:
                self._embedder = self._loaded(locate(self._settings.embedder, "embedder"))
            return self._embedder

    @property
    def embedder_hash(self) -> str:
        """The configured embedder's weights hash, known without loading it."""
        return (
            self._embedder.weights_hash if self._embedder else locate(self._settings.embedder, "embedder").weights_hash
        )

    @property
    def generator(self) -> Generator:
        """The generator, loaded now if it was not."""
        with self._loading:
            if self._generator is None:
                self._generator = self._load_generator()
            return self._generator

    def adapter_for_passages(self, asked: str | None) -> str | None:
        """
        Return the adapter that answers a question from passages.

        Args:
            asked: what the request names; None leaves it to the settings.
        """
        if asked is None and self._settings.answer.adapter == adapter_store.USUAL_ADAPTER:
            return adapter_store.for_passages(self.generator.adapters)
        chosen = self._settings.answer.adapter if asked is None else asked
        return None if chosen == adapter_store.NO_ADAPTER else chosen

    @property
    def reranker(self) -> Reranker | None:
        """The configured reranker, else the first in the model store, loaded now if it was not; None without any."""
        with self._loading:
            if not self._rerankers:
                self._rerankers.append(self._load_reranker())
            return self._rerankers[0]

    def embedder_of(self, identity: EmbedderIdentity) -> Embedder:
        """
        Return the embedder that made a collection's vectors, loaded now if it was not.

        Raises:
            ModelError: it is not on this machine.
        """
        with self._loading:
            return self._embedders.get(identity.weights_hash) or self._loaded(self._find(identity))

    def require(self, identity: EmbedderIdentity) -> None:
        """
        Make sure, without loading it, that an embedder can be had.

        Raises:
            ModelError: it is not on this machine.
        """
        if identity.weights_hash not in self._embedders:
            self._find(identity)

    def has(self, identity: EmbedderIdentity) -> bool:
        """Tell, without loading it, whether an embedder can be had."""
        try:
            self.require(identity)
        except ModelError:
            return False
        return True

    def forget(self, identity: EmbedderIdentity) -> None:
        """Let go of an embedder that no collection needs any more; the configured one stays."""
        with self._loading:
            if self._embedder is None or self._embedder.weights_hash != identity.weights_hash:
                self._embedders.pop(identity.weights_hash, None)

    def _find(self, identity: EmbedderIdentity) -> Model:
        """Look for an embedder of these weights: the configured one, or the one of that name."""
        reasons = []
        for name in dict.fromkeys((self._settings.embedder, identity.name)):
            try:
                model = locate(name, "embedder")
            except ModelError as error:
                reasons.append(str(error))
                continue
            if model.weights_hash == identity.weights_hash:
                return model
            reasons.append(f"{name!r} here has other weights ({model.weights_hash[:12]}).")
        raise ModelError(" ".join(reasons))

    def _loaded(self, model: Model) -> Embedder:
        if model.weights_hash not in self._embedders:
            started = time.perf_counter()
            from models.embedder import SentenceTransformerEmbedder  # torch is imported here, not at start

            self._embedders[model.weights_hash] = SentenceTransformerEmbedder(model, device=self._device)
            logger.info("embedder %s loaded, %.2f s", model.name, time.perf_counter() - started)
        return self._embedders[model.weights_hash]

    def _load_reranker(self) -> Reranker | None:
        started = time.perf_counter()
        name = self._settings.reranker or next((model.name for model in installed() if model.role == "reranker"), None)
        if name is None:
            return None
        model = locate(name, "reranker")
        from models.reranker import CrossEncoderReranker  # torch is imported here, not at start

        reranker = CrossEncoderReranker(model, device=self._device)
        logger.info("reranker %s loaded, %.2f s", reranker.name, time.perf_counter() - started)
        return reranker

    def _load_generator(self) -> Generator:
        started = time.perf_counter()
        remote = self._settings.remote
        if remote.url is not None:
            from models.remote import RemoteGenerator

            key = os.environ.get("HOMEGROUND_REMOTE_KEY")
            return RemoteGenerator(remote.url, self._settings.generator, key, remote.timeout_s)
        model = locate(self._settings.generator, "generator")
        offered = partial(adapter_store.offered, model)
        generator = load_generator(model, self._settings.engine, self._device, offered, self._settings.server.slots)
        logger.info(
            "generator %s loaded with %s, %.2f s", generator.name, generator.engine, time.perf_counter() - started
        )
        return generator
