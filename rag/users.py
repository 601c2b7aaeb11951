"""
The command ``python -m rag.users``: users, groups, API keys, and who may do what.

It speaks the HTTP interface, as the page does: that of the running server if there is one, so that a change holds from
the next request on, else one within this process.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import anyio
import httpx2 as httpx
import typer
from rich.console import Console
from rich.table import Table

from models import command
from models.base import InputError, StoreError
from rag import config
from rag.access import ADDRESS_FILE, KEY_VARIABLE, Access, load_api_key
from rag.config import Settings
from rag.store.lock import InUseError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="the user's name")]
Level = Literal["none", "read", "write", "manage"]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="where the data lies")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
PasswordFromStdin = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input")]


@app.command("list")
def list_users(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List users and groups."""
    found = _send(data_dir, "GET", "/api/users")
    if as_json:
        return _print_object(found)
    _print_table(
        ("user", "administrator", "suspended", "groups"),
        [
            (one["name"], "yes" * one["is_admin"], "yes" * one["is_suspended"], ", ".join(one["groups"]))
            for one in found["users"]
        ],
    )
    return None


@app.command()
def add(
    name: Name,
    admin: Annotated[bool, typer.Option("--admin", help="may manage users, groups, keys and rights")] = False,
    key_only: Annotated[bool, typer.Option("--key-only", help="without a password: gets in by API keys only")] = False,
    password_stdin: PasswordFromStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Make a user."""
    password = None if key_only else _password(from_stdin=password_stdin)
    _send(data_dir, "POST", "/api/users", {"name": name, "password": password, "is_admin": admin})


@app.command()
def password(name: Name, password_stdin: PasswordFromStdin = False, data_dir: DataDir = None) -> None:
    """Give a user another password; every session of hers ends."""
    _send(data_dir, "PATCH", f"/api/users/{name}", {"password": _password(from_stdin=password_stdin)})


@app.command()
def suspend(name: Name, data_dir: DataDir = None) -> None:
    """Let a user do nothing any more, from the next request on."""
    _send(data_dir, "PATCH", f"/api/users/{name}", {"is_suspended": True})


@app.command()
def resume(name: Name, data_dir: DataDir = None) -> None:
    """Let a suspended user in again."""
    _send(data_dir, "PATCH", f"/api/users/{name}", {"is_suspended": False})


@app.command()
def remove(name: Name, data_dir: DataDir = None) -> None:
    """Remove a user with keys and rights; collections stay."""
    _send(data_dir, "DELETE", f"/api/users/{name}")


@app.command()
def group(
    name: Annotated[str, typer.Argument(help="the group's name")],
    members: Annotated[list[str] | None, typer.Argument(help="who is in it; nobody removes the group")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a group, or change who is in it."""
    if members:
        _send(data_dir, "PUT", f"/api/groups/{name}", {"members": members})
    else:
        _send(data_dir, "DELETE", f"/api/groups/{name}")


@app.command()
def grant(
    level: Annotated[Level, typer.Argument(help="none takes a right back")],
    collection: Annotated[str, typer.Option(help="on which collection")],
    user: Annotated[str | None, typer.Option(help="to whom")] = None,
    group: Annotated[str | None, typer.Option(help="or to which group")] = None,
    document: Annotated[str, typer.Option(help="only on the document of this source")] = "",
    data_dir: DataDir = None,
) -> None:
    """Give a right on a collection or a document."""
    body = {"level": level, "user": user, "group": group, "source": document}
    _send(data_dir, "PUT", f"/api/collections/{collection}/grants", body)


@app.command()
def grants(collection: str, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List who may do what with a collection."""
    found = _send(data_dir, "GET", f"/api/collections/{collection}/grants")
    if as_json:
        return _print_object(found)
    rows = [(one["user"] or f"group {one['group']}", one["level"], one["source"]) for one in found["grants"]]
    _print_table(("who", "right", "only on the document"), rows)
    return None


@app.command()
def key(
    name: Name,
    label: Annotated[str, typer.Option(help="what it is for")] = "",
    level: Annotated[Level, typer.Option(help="the most it may do")] = "read",
    collection: Annotated[list[str] | None, typer.Option(help="the only ones it reaches; may be repeated")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="how long it counts")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key, and show it this once."""
    body = {"user": name, "label": label, "level": level, "collections": collection or None, "days": days}
    made = _send(data_dir, "POST", "/api/keys", body)
    if as_json:
        return _print_object(made)
    sys.stdout.write(f"{made['key']}\n")
    return None


@app.command()
def keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the API keys of all users, without what is secret."""
    found = _send(data_dir, "GET", "/api/keys")
    if as_json:
        return _print_object(found)
    rows = [
        (str(one["id"]), one["user"], one["label"], one["level"], ", ".join(one["collections"] or ["all"]))
        for one in found["keys"]
    ]
    _print_table(("key", "user", "label", "at most", "collections"), rows)
    return None


@app.command()
def revoke(
    key_id: Annotated[int, typer.Argument(min=1, help="the key's number, as `keys` shows it")], data_dir: DataDir = None
) -> None:
    """Take an API key back."""
    _send(data_dir, "DELETE", f"/api/keys/{key_id}")


@app.command()
def log(
    who: Annotated[str, typer.Option(help="only of this user")] = "",
    collection: Annotated[str, typer.Option(help="only on this collection")] = "",
    document: Annotated[str, typer.Option(help="only with the document of this source")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    data_dir: DataDir = None,
) -> None:
    """Print the access log, newest first, one JSON object a line."""
    asked = {"who": who, "collection": collection, "document": document, "limit": limit}
    for entry in _send(data_dir, "GET", "/api/accesses", params=asked)["accesses"]:
        sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return cast(str, typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _send(
    data_dir: Path | None, method: str, path: str, body: object = None, params: dict[str, Any] | None = None
) -> Any:  # noqa: ANN401 - JSON
    """
    Send a request as whoever holds the terminal.

    Raises:
        InputError: it was refused; the message says why.
        StoreError: the data directory is held by something else than a server.
    """
    settings = config.load(data_dir=data_dir)

    async def send() -> httpx.Response:
        with _transport(settings) as (transport, url, key):
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(transport=transport, base_url=url, headers=headers, timeout=60) as client:
                return await client.request(method, path, json=body, params=params)

    try:
        response = anyio.run(send)
    except httpx.HTTPError as error:
        raise StoreError(
            f"the server of {settings.data_dir} cannot be reached ({error}); is it still there?"
        ) from error
    if response.status_code >= 400:
        raise InputError(response.json()["error"]["message"])
    return response.json() if response.content else None


@contextmanager
def _transport(settings: Settings) -> Iterator[tuple[httpx.AsyncBaseTransport, str, str]]:
    """Give the way to the server, its address, and the key; a server within this process if none runs."""
    from rag.serve import create_app
    from rag.workspace import Workspace

    try:
        with Workspace(settings) as workspace:
            key, _ = load_api_key(settings.data_dir, os.environ.get(KEY_VARIABLE))
            application = create_app(workspace, Access(key, workspace.store.people))
            url = f"http://127.0.0.1:{settings.server.port}"
            yield httpx.ASGITransport(application), url, key
            application.state.service.log.write()
    except InUseError:
        place = settings.data_dir / ADDRESS_FILE
        if not place.is_file():  # no server holds the data directory, but another command
            raise
        url = place.read_text(encoding="ascii").strip()
        key, _ = load_api_key(settings.data_dir, os.environ.get(KEY_VARIABLE))
        yield httpx.AsyncHTTPTransport(verify=_trusted(settings)), url, key


def _trusted(settings: Settings) -> ssl.SSLContext | bool:
    """Trust the server's own certificate alone, whatever name it is for: its address comes from a private folder."""
    if settings.server.certificate is None:
        return True
    context = ssl.create_default_context(cafile=str(settings.server.certificate))
    context.check_hostname = False
    return context


def _print_object(found: Any) -> None:  # noqa: ANN401 - JSON
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*head, box=None)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    command.run(app)
