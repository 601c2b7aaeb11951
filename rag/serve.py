"""
The server: page and API on one port of this machine; also the command ``python -m rag.serve``.

It listens before the models are loaded (``/readyz`` says when they are), and at a signal finishes the answers that it
accepted before it ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
import uvicorn

from models import command
from models.base import ConfigError
from models.catalog import NAME_PATTERN
from rag import config
from rag.access import ADDRESS_FILE, KEY_FILE, KEY_VARIABLE, Access, load_api_key
from rag.access.reach import require_safe
from rag.config import ServerSettings, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rag.api.service import Service
    from rag.workspace import Workspace

LAST_BYTES_S = 10
"""Seconds that clients get, after the last answer is made, to read it."""

MAX_CONNECTIONS = 512

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def create_app(workspace: Workspace, access: Access) -> FastAPI:
    """
    Return the application; its lifespan starts the generation queue and loads the models.

    Args:
        workspace: the data and the models; it stays the caller's to close.
        access: who may use it.
    """
    # FastAPI and the store are imported here, so that --help answers at once.
    from fastapi import FastAPI

    from rag.api import errors
    from rag.api.edge import Edge
    from rag.api.routers import routers
    from rag.api.service import Service
    from rag.api.trash import Trash
    from rag.api.turns import Turns

    service = Service(workspace, access)
    turns = Turns(service)

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        workspace.store.conversations.interrupt_running()
        service.start()
        yield
        await service.drain()
        await turns.settle()

    application = FastAPI(title="Homeground", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    application.state.service = service
    application.state.turns = turns
    application.state.trash = Trash()
    application.add_middleware(Edge, service=service)
    errors.install(application)
    for router in routers():
        application.include_router(router)
    return application


class _Server(uvicorn.Server):
    """
    A uvicorn server that ends in good order.

    At the first signal, or when the models cannot be loaded, it stops being ready, finishes the answers it accepted
    while it still answers whoever asks, and closes. A second signal breaks those answers off. Signals are not raised
    again at the end, so a clean end has exit code 0.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._signals = 0
        self._draining: asyncio.Task[None] | None = None
        self._begun = time.perf_counter()
        self._announced = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Count a signal; the next tick acts on it."""
        self._signals += 1

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a process, for as long as the server runs."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether it is time to be ready, to drain, to hurry, or to end."""
        if self._service.state == "ready" and not self._announced:
            self._announced = True
            _say(f"Ready after {time.perf_counter() - self._begun:.1f} s.")
        if (self._signals or self._service.failure) and self._draining is None:
            self._draining = asyncio.create_task(self._service.drain())
        if self._signals > 1:
            self._service.worker.hurry()
        if self._draining and self._draining.done():
            return True
        return await super().on_tick(counter)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on; only this machine's own")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any free port")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    collection: Annotated[str | None, typer.Option(help="where to look unless a request says otherwise")] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER[=COLLECTION]", help="keep a collection equal to a folder; may be repeated"),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="what runs the model")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Serve the page and the API on this machine, with a sign-in link on standard output."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = config.load(
        settings_file,
        data_dir=data_dir,
        collection=collection,
        engine=engine,
        server=given or None,
        watch=[_watched(folder) for folder in watch] if watch else None,
    )
    from rag.workspace import Workspace

    with _listen(settings.server) as listener:
        bound = settings.server.model_copy(update={"port": listener.getsockname()[1]})
        with Workspace(settings.model_copy(update={"server": bound})) as workspace:
            require_safe(bound, has_users=workspace.store.people.exist())
            failure = run(workspace, listener)
    if failure is not None:
        raise failure
    if threading.active_count() > 1:
        # A model that is still being loaded, or a file that is being read, cannot be interrupted, and native code
        # must not be torn down with the interpreter around it. Everything of ours is closed.
        logging.shutdown()
        os._exit(0)


def _watched(text: str) -> dict[str, str]:
    """Take ``FOLDER[=COLLECTION]`` apart; what cannot be a collection's name belongs to the folder's."""
    folder, _, collection = text.rpartition("=")
    if folder and re.fullmatch(NAME_PATTERN, collection):
        return {"folder": folder, "collection": collection}
    return {"folder": text}


def run(workspace: Workspace, listener: socket.socket) -> Exception | None:
    """Serve until a signal; return why the models could not be loaded, if that was it."""
    settings = workspace.settings
    key, is_new = load_api_key(settings.data_dir, os.environ.get(KEY_VARIABLE))
    address = _address(settings.server)
    access = Access(
        key, workspace.store.people, on_token=lambda token: _say(f"Sign in: {address}/sign-in?token={token}")
    )
    application = create_app(workspace, access)
    _say(f"Homeground listens on {address}; the models are being loaded.")
    access.issue_token()
    _say(_describe_key(settings, key, is_new=is_new))
    options: dict[str, Any] = {"log_config": None, "access_log": False, "proxy_headers": False, "server_header": False}
    uvicorn_config = uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="on",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=LAST_BYTES_S,
        ssl_certfile=settings.server.certificate,
        ssl_keyfile=settings.server.private_key,
        **options,
    )
    service: Service = application.state.service
    place = settings.data_dir / ADDRESS_FILE
    place.write_text(f"{address}\n", encoding="ascii")
    try:
        _Server(uvicorn_config, service).run(sockets=[listener])
    finally:
        place.unlink(missing_ok=True)
    return service.failure


def _listen(server: ServerSettings) -> socket.socket:
    """
    Take the port, before anything else is done.

    Raises:
        ConfigError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"{server.host} port {server.port} cannot be listened on ({error.strerror}); "
            "stop what uses it, or choose another with --port."
        ) from error


def _address(server: ServerSettings) -> str:
    scheme = "https" if server.certificate else "http"
    return (
        f"{scheme}://[{server.host}]:{server.port}" if ":" in server.host else f"{scheme}://{server.host}:{server.port}"
    )


def _describe_key(settings: Settings, key: str, *, is_new: bool) -> str:
    if KEY_VARIABLE in os.environ:
        return f"API key: the one in {KEY_VARIABLE}"
    path = settings.data_dir / KEY_FILE
    return f"API key: {key} (new; kept in {path})" if is_new else f"API key: the one in {path}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    command.run(app, log_level="INFO")
