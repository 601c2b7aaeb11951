"""``python -m rag.users``: beside a running server and without one, with the same words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.base import InputError, StoreError
from rag.access import ADDRESS_FILE, KEY_FILE
from rag.store import Store
from rag.users import app
from tests.serving import API_KEY, serving
from tests.team import client_with

PASSWORD = "a long password\n"


def run(directory: Path, *arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data-dir", str(directory)], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_users_are_made_without_a_server(tmp_path: Path) -> None:
    run(tmp_path, "add", "ann", "--admin", "--password-stdin", stdin=PASSWORD)
    run(tmp_path, "add", "bob", "--key-only")
    run(tmp_path, "group", "team", "ann", "bob")
    run(tmp_path, "suspend", "bob")
    found = json.loads(run(tmp_path, "list", "--json"))
    assert found["groups"] == {"team": ["ann", "bob"]}
    assert [(one["name"], one["is_admin"], one["is_suspended"], one["has_password"]) for one in found["users"]] == [
        ("ann", True, False, True),
        ("bob", False, True, False),
    ]
    key = run(tmp_path, "key", "bob", "--label", "scripts", "--days", "3").strip()
    assert key.startswith("hg-")
    assert key not in run(tmp_path, "keys")
    run(tmp_path, "revoke", "1")
    assert json.loads(run(tmp_path, "keys", "--json"))["keys"] == []
    run(tmp_path, "remove", "bob")
    run(tmp_path, "group", "team")
    assert json.loads(run(tmp_path, "list", "--json"))["groups"] == {}
    actions = [json.loads(line)["action"] for line in run(tmp_path, "log").splitlines()]
    assert actions[:3] == ["remove group team", "remove user bob", "remove key 1"]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no user 'none'"):
        run(tmp_path, "suspend", "none")
    with pytest.raises(InputError, match="10 to 1024 characters"):
        run(tmp_path, "add", "ann", "--password-stdin", stdin="short\n")


def test_a_running_server_is_told_and_obeys_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        (tmp_path / ADDRESS_FILE).write_text(live.url)
        (tmp_path / KEY_FILE).write_text(API_KEY)
        (tmp_path / KEY_FILE).chmod(0o600)
        run(tmp_path, "add", "ann", "--key-only")
        key = run(tmp_path, "key", "ann", "--level", "write").strip()
        with client_with(live, key) as ann:
            assert ann.post("/api/search", json={"question": "badge", "collection": "handbook"}).status_code == 404
            run(tmp_path, "grant", "read", "--collection", "handbook", "--user", "ann")
            assert ann.post("/api/search", json={"question": "badge", "collection": "handbook"}).status_code == 200
            assert '"level": "read"' in run(tmp_path, "grants", "handbook", "--json")
            run(tmp_path, "suspend", "ann")
            assert ann.get("/api/about").status_code == 401
            run(tmp_path, "resume", "ann")
            assert ann.get("/api/about").status_code == 200


def test_directory_that_another_command_holds_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    try:
        with pytest.raises(StoreError, match="is in use by process"):
            run(tmp_path, "list")
    finally:
        store.close()
