"""The two models of a workspace, loaded at first use, and torch with them: a command that needs none starts at once."""

from __future__ import annotations

import logging
import threading
import time

from models import adapters
from models.base import Embedder, Generator
from models.store import locate
from rag.config import Settings

logger = logging.getLogger(__name__)


class LoadedModels:
    """
    The configured embedder and generator; safe to use from several threads.

    Args:
        settings: which models, on which device.
        embedder: takes the place of the configured one.
        generator: takes the place of the configured one.
    """

    def __init__(
        self, settings: Settings, *, embedder: Embedder | None = None, generator: Generator | None = None
    ) -> None:
        self._settings = settings
        self._device = None if settings.device == "auto" else settings.device
        self._embedder = embedder
        self._generator = generator
        self._loading = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded now if it was not."""
        with self._loading:
            if self._embedder is None:
                self._embedder = self._load_embedder()
            return self._embedder

    @property
    def generator(self) -> Generator:
        """The generator, loaded now if it was not."""
        with self._loading:
            if self._generator is None:
                self._generator = self._load_generator()
            return self._generator

    @property
    def embedder_hash(self) -> str:
        """The embedder's weights hash, known without loading it."""
        return (
            self._embedder.weights_hash if self._embedder else locate(self._settings.embedder, "embedder").weights_hash
        )

    def _load_embedder(self) -> Embedder:
        started = time.perf_counter()
        model = locate(self._settings.embedder, "embedder")
        from models.embedder import SentenceTransformerEmbedder  # torch is imported here, not at start

        embedder = SentenceTransformerEmbedder(model, device=self._device)
        logger.info("embedder %s loaded, %.2f s", embedder.name, time.perf_counter() - started)
        return embedder

    def _load_generator(self) -> Generator:
        started = time.perf_counter()
        model = locate(self._settings.generator, "generator")
        from models.generator import TransformersGenerator  # torch is imported here, not at start

        generator = TransformersGenerator(model, device=self._device, adapters=adapters.installed(base=model))
        logger.info("generator %s loaded, %.2f s", generator.name, time.perf_counter() - started)
        return generator
