"""Users and their rights through the real server: each route, each kind of credential, revocation, shares, the log."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.access import Level
from rag.access.passwords import hashed
from rag.api.edge import PUBLIC
from rag.api.page import STATIC_PREFIX
from tests.fakes import ScriptedGenerator
from tests.serving import Beat, Live, routes, sends_csrf_token, serving, wait_until
from tests.team import client_with, key_of, upload, user

SECRET = "The umbrella of the director is hidden behind the third boiler."
ASK = {"question": "Where is the umbrella of the director?", "collection": "hers"}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with serving(tmp_path / "data") as server:
        yield server


@pytest.fixture
def ann(live: Live) -> Iterator[httpx.Client]:
    """A user with a collection of her own, ``hers``, which holds one document."""
    with user(live, "ann") as client:
        assert upload(client, "hers", "umbrella.md", SECRET).status_code == 200
        yield client


@pytest.fixture
def bob(live: Live) -> Iterator[httpx.Client]:
    """A user without any right."""
    with user(live, "bob") as client:
        yield client


def grant(client: httpx.Client, level: str, **of: str) -> None:
    assert client.put("/api/collections/hers/grants", json={"level": level, **of}).status_code == 204


OBJECTS: dict[str, dict[str, Any]] = {
    "POST /api/search": {"json": {"question": "umbrella", "collection": "hers"}},
    "POST /api/ask": {"json": ASK},
    "POST /v1/chat/completions": {
        "json": {"model": "scripted@hers", "messages": [{"role": "user", "content": "umbrella"}]}
    },
    "GET /v1/models/{model}": {"path": "/v1/models/scripted@hers"},
    "GET /api/documents": {"params": {"collection": "hers"}},
    "POST /api/documents": {"files": {"files": ("b.md", b"text")}, "data": {"collection": "hers"}},
    "GET /api/documents/{collection}/{document_id}": {},
    "GET /api/collections/{collection}/grants": {},
    "PUT /api/collections/{collection}/grants": {"json": {"level": "manage", "user": "ann"}},
    "GET /api/conversations/{conversation_id}": {},
    "PATCH /api/conversations/{conversation_id}": {"json": {"title": "Mine"}},
    "POST /api/conversations/{conversation_id}/turns": {"json": ASK},
    "GET /api/turns/{turn_id}": {},
    "POST /api/turns/{turn_id}/stop": {},
    "GET /api/events": {"path": "/api/events?follow={turn_id}"},
    "DELETE /api/conversations/{conversation_id}": {},
    "POST /api/comparisons": {
        "json": {
            "question": "Where is it?",
            "arms": [{"collection": "hers"}, {"collection": "hers", "adapter": "base"}],
        }
    },
    "GET /api/comparisons/{comparison_id}": {},
    "POST /api/comparisons/{comparison_id}/vote": {"json": {"verdict": "equal"}},
    "DELETE /api/comparisons/{comparison_id}": {},
    "GET /api/evaluations": {"params": {"collection": "hers"}},
    "POST /api/question-sets": {
        "json": {"collection": "hers", "name": "mine", "text": '{"question": "Where?", "answer": "There."}'}
    },
    "DELETE /api/documents/{collection}/{document_id}": {},
    "POST /api/documents/{collection}/{document_id}/restore": {},
    "DELETE /api/collections/{collection}": {},
}
"""Routes about an object: its owner gets through, a stranger learns that there is none."""

PERSONAL: dict[str, dict[str, Any]] = {
    "GET /api/about": {},
    "GET /api/collections": {},
    "POST /api/collections": {"json": {"name": "new"}},
    "GET /api/keys": {},
    "POST /api/keys": {"json": {}},
    "GET /v1/models": {},
    "POST /v1/embeddings": {"json": {"model": "hash", "input": "text"}},
    "GET /api/adapters": {},
    "GET /api/conversations": {},
    "POST /api/conversations": {},
    "GET /api/comparisons": {},
    "GET /api/comparisons/export": {},
    "POST /api/sample": {},
    "POST /sign-out": {},
    "GET /openapi.json": {},
}
"""Routes that everybody may use, each for what is his own."""

ADMINISTRATORS: dict[str, dict[str, Any]] = {
    "GET /metrics": {},
    "GET /api/users": {},
    "POST /api/users": {"json": {"name": "eve"}},
    "PATCH /api/users/{name}": {"path": "/api/users/ann", "json": {}},
    "DELETE /api/users/{name}": {"path": "/api/users/carl"},
    "PUT /api/groups/{name}": {"path": "/api/groups/team", "json": {"members": ["ann"]}},
    "DELETE /api/groups/{name}": {"path": "/api/groups/team"},
    "GET /api/accesses": {},
    "GET /api/all-collections": {},
    "GET /api/machine": {},
    "GET /api/recipes": {},
    "POST /api/prior": {"json": {"facts": True}},
    "GET /api/runs": {},
}
OTHERS = {
    "PUT /api/me/password",
    "DELETE /api/keys/{key_id}",
    "GET /api/documents/{collection}/{document_id}/file",
    "GET /api/adapters/{name}/report",
    "POST /api/runs/training",
    "POST /api/runs/decision",
    "GET /api/runs/{run_id}",
    "POST /api/runs/{run_id}/start",
    "POST /api/runs/{run_id}/cancel",
    "POST /api/runs/{run_id}/resume",
    "DELETE /api/runs/{run_id}",
    "GET /api/runs/{run_id}/report",
    "DELETE /api/question-sets/{set_id}",
    "POST /api/evaluations",
    "GET /api/evaluations/{run_id}/cases",
}
"""Routes that have tests of their own, here or elsewhere; adapters are everybody's."""


IDS = {"collection": "hers", "document_id": 3}


def send(client: httpx.Client, route: str, **request: Any) -> httpx.Response:
    method, path = route.split()
    path = request.pop("path", path)
    for name, value in (IDS | request.pop("ids", {})).items():
        path = path.replace(f"{{{name}}}", str(value))
    return client.request(method, path, **request)


def test_every_route_is_in_the_matrix(live: Live) -> None:
    found = {
        f"{method} {path}"
        for method, path in routes(live)
        if path not in PUBLIC and not path.startswith(STATIC_PREFIX) and method != "HEAD"
    }
    listed = {*OBJECTS, *PERSONAL, *ADMINISTRATORS, *OTHERS}
    assert found == listed


def test_object_routes_are_for_its_owner(live: Live, ann: httpx.Client, bob: httpx.Client) -> None:
    with user(live, "carl", is_admin=True) as carl:
        live.service.workspace.store.people.change_user("carl", is_suspended=True)
        talk = ann.post("/api/conversations").json()["id"]
        turn = ann.post(f"/api/conversations/{talk}/turns", json=ASK).json()["id"]
        arms = [{"collection": "hers"}, {"collection": "hers", "adapter": "base"}]
        comparison = ann.post("/api/comparisons", json={"question": "Where?", "arms": arms}).json()["id"]
        ids = {"conversation_id": talk, "turn_id": turn, "comparison_id": comparison}
        for route, plain in OBJECTS.items():
            request = plain | {"ids": ids}
            with live.stranger() as nobody:
                assert send(nobody, route, **request).status_code == 401, route
            assert send(carl, route, **request).status_code == 401, route
            refused = send(bob, route, **request)
            assert refused.status_code in (403, 404, 409), route
            assert "umbrella" not in refused.text.replace(ASK["question"], "")
            assert send(ann, route, **request).status_code in (200, 201, 202, 204), route


def test_file_of_a_document_is_for_its_readers(ann: httpx.Client, bob: httpx.Client) -> None:
    for client, code in ((ann, "no_original"), (bob, "collection_not_found")):
        answer = client.get("/api/documents/hers/3/file")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


def test_answers_from_a_deleted_document_are_taken_out_of_conversations(ann: httpx.Client) -> None:
    talk = ann.post("/api/conversations").json()["id"]
    turn = ann.post(f"/api/conversations/{talk}/turns", json=ASK).json()["id"]
    wait_until(lambda: ann.get(f"/api/turns/{turn}").json()["state"] == "done")
    assert "third boiler" in ann.get(f"/api/turns/{turn}").text
    ann.delete("/api/documents/hers/3")
    after = ann.get(f"/api/turns/{turn}")
    assert "third boiler" not in after.text
    assert after.json()["result"]["error"]["code"] == "document_deleted"


def test_personal_routes_show_everybody_his_own(live: Live, ann: httpx.Client, bob: httpx.Client) -> None:
    for route, request in PERSONAL.items():
        with live.stranger() as nobody:
            assert send(nobody, route, **request).status_code == 401, route
        for client in (ann, bob):
            assert send(client, route, **request).status_code in (200, 201, 204, 409), route
        assert "hers" not in send(bob, route, **request).text.replace("others", ""), route


def test_administrators_routes_are_theirs(live: Live, ann: httpx.Client) -> None:
    with user(live, "root", is_admin=True) as root, user(live, "carl"):
        for route, request in ADMINISTRATORS.items():
            assert send(ann, route, **request).status_code == 403, route
            assert send(root, route, **request).status_code in (200, 201, 204), route


def test_only_administrators_start_programs(live: Live, ann: httpx.Client) -> None:
    files = {"train": ("t.jsonl", b"{}"), "test": ("t.jsonl", b"{}")}
    for kind in ("training", "decision"):
        answer = ann.post(f"/api/runs/{kind}", data={"settings": "{}"}, files=files)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "access_error")
        with live.stranger() as nobody:
            assert nobody.post(f"/api/runs/{kind}", data={"settings": "{}"}, files=files).status_code == 401
    run = live.service.workspace.store.runs.add("training", "root", "letters", "", {}, "planned").id
    for method, rest in (("GET", ""), ("POST", "/start"), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/report")):
        assert ann.request(method, f"/api/runs/{run}{rest}").status_code == 404
    hers = {"name": "d", "collection": "hers", "requirements": {}}
    refused = live.client.post(
        "/api/runs/decision", data={"settings": json.dumps(hers | {"collection": "nowhere"})}, files=files
    )
    assert refused.status_code == 404
    with user(live, "root", is_admin=True) as root:  # an administrator, who may not read what is hers
        assert root.post("/api/runs/decision", data={"settings": json.dumps(hers)}, files=files).status_code == 404


def test_administrator_reads_nothing_that_was_not_given_to_her(live: Live, ann: httpx.Client) -> None:
    with user(live, "root", is_admin=True) as root:
        assert root.post("/api/search", json={"question": "umbrella", "collection": "hers"}).status_code == 404
        assert "hers" in root.get("/api/all-collections").text
        grant(root, "read", user="root")
        assert root.post("/api/search", json={"question": "umbrella", "collection": "hers"}).json()["hits"]
        noted = root.get("/api/accesses", params={"who": "root"}).json()["accesses"]
        assert "grant read to root" in {entry["action"] for entry in noted}


@pytest.mark.parametrize("subject", ["user", "group"])
def test_collection_that_is_shared_is_readable_until_it_is_not(
    live: Live, ann: httpx.Client, bob: httpx.Client, subject: str
) -> None:
    live.service.workspace.store.people.set_group("team", ["bob"])
    to = {"user": "bob"} if subject == "user" else {"group": "team"}
    grant(ann, "read", **to)
    assert bob.post("/api/ask", json=ASK).status_code == 200
    assert [one["name"] for one in bob.get("/api/collections").json()["collections"]] == ["hers"]
    assert upload(bob, "hers", "b.md", "text").status_code == 403
    assert bob.delete("/api/collections/hers").status_code == 403
    grant(ann, "write", **to)
    assert upload(bob, "hers", "b.md", "text").status_code == 200
    grant(ann, "none", **to)
    assert bob.post("/api/ask", json=ASK).status_code == 404
    assert bob.get("/api/collections").json()["collections"] == []


def test_document_that_is_shared_is_all_that_is_seen(live: Live, ann: httpx.Client, bob: httpx.Client) -> None:
    upload(ann, "hers", "badges.md", "A badge costs five pounds at the front desk.")
    grant(ann, "read", user="bob", source="badges.md")
    (seen,) = bob.get("/api/collections").json()["collections"]
    assert (seen["documents"], seen["chunks"], seen["level"]) == (1, 1, "none")
    assert [one["source"] for one in bob.get("/api/documents?collection=hers").json()["documents"]] == ["badges.md"]
    hits = bob.post("/api/search", json={"question": "umbrella director boiler", "collection": "hers"}).json()["hits"]
    assert {hit["source"] for hit in hits} <= {"badges.md"}
    rows = {one["source"]: one["id"] for one in ann.get("/api/documents?collection=hers").json()["documents"]}
    assert bob.get(f"/api/documents/hers/{rows['umbrella.md']}").status_code == 404
    assert bob.get(f"/api/documents/hers/{rows['badges.md']}").status_code == 200
    assert upload(bob, "hers", "badges.md", "changed").status_code == 403
    assert bob.delete(f"/api/documents/hers/{rows['badges.md']}").status_code == 403
    ann.delete(f"/api/documents/hers/{rows['badges.md']}")
    assert bob.get("/api/collections").json()["collections"] == []
    upload(ann, "hers", "badges.md", "Another text under the same name.")
    assert bob.get("/api/collections").json()["collections"] == []


def test_name_of_a_collection_that_is_not_ours_is_taken(ann: httpx.Client, bob: httpx.Client) -> None:
    assert bob.post("/api/collections", json={"name": "hers"}).status_code == 409
    assert upload(bob, "hers", "b.md", "text").status_code == 409
    assert len(ann.get("/api/documents?collection=hers").json()["documents"]) == 1


def test_key_reaches_no_further_than_it_was_made_to(live: Live, ann: httpx.Client) -> None:
    upload(ann, "other", "b.md", "text")
    made = ann.post("/api/keys", json={"label": "reader", "level": "read", "collections": ["hers"]}).json()
    assert made["key"] not in ann.get("/api/keys").text
    with client_with(live, made["key"]) as reader:
        assert reader.post("/api/ask", json=ASK).status_code == 200
        assert upload(reader, "hers", "b.md", "text").status_code == 403
        assert reader.get("/api/documents?collection=other").status_code == 404
        assert reader.post("/api/collections", json={"name": "new"}).status_code == 403
        assert reader.post("/api/keys", json={"level": "write", "collections": ["hers"]}).status_code == 403
        assert reader.post("/api/keys", json={"level": "read"}).status_code == 403
        assert ann.delete(f"/api/keys/{made['id']}").status_code == 204
        assert reader.get("/api/about").status_code == 401


def test_key_of_somebody_else_cannot_be_taken_back(ann: httpx.Client, bob: httpx.Client) -> None:
    made = ann.post("/api/keys", json={}).json()
    assert bob.delete(f"/api/keys/{made['id']}").status_code == 422
    assert bob.post("/api/keys", json={"user": "ann"}).status_code == 403


def test_password_signs_a_browser_in_and_changing_it_ends_every_session(live: Live) -> None:
    live.service.workspace.store.people.add_user("dora", hashed("a long password"), is_admin=False)
    with live.stranger() as browser:
        body = {"name": "dora", "password": "a long password"}
        assert browser.post("/sign-in", json=body | {"password": "wrong"}).status_code == 403
        assert browser.post("/sign-in", json=body, headers={"Origin": "http://evil.example"}).status_code == 403
        assert browser.post("/sign-in", json=body).status_code == 204
        assert browser.get("/api/about").json()["user"] == "dora"
        change = {"old": "a long password", "new": "another password"}
        own = {"Origin": live.url}
        assert browser.put("/api/me/password", json=change, headers=own).status_code == 403
        sends_csrf_token(browser)
        assert browser.put("/api/me/password", json=change | {"old": "wrong"}, headers=own).status_code == 403
        assert browser.put("/api/me/password", json=change, headers=own).status_code == 204
        assert browser.get("/api/about").status_code == 401


@pytest.mark.parametrize("how", ["key", "user", "grant"])
def test_stream_ends_soon_after_the_right_to_it_was_taken_back(tmp_path: Path, how: str) -> None:
    generator = ScriptedGenerator(["word " * 2000], gate=Beat())
    with serving(tmp_path / "data", generator) as live, user(live, "ann") as ann, user(live, "bob"):
        upload(ann, "hers", "umbrella.md", SECRET)
        grant(ann, "read", user="bob")
        people = live.service.workspace.store.people
        with client_with(live, key_of(live, "bob", Level.READ)) as reader:
            lines: list[str] = []

            def read() -> None:
                with reader.stream("POST", "/api/ask", json=ASK | {"stream": True, "max_tokens": 2000}) as response:
                    lines.extend(response.iter_lines())

            reading = threading.Thread(target=read)
            reading.start()
            wait_until(lambda: generator.steps > 3)
            match how:
                case "key":
                    people.remove_key(people.keys("bob")[-1].id)
                case "user":
                    people.change_user("bob", is_suspended=True)
                case "grant":
                    grant(ann, "none", user="bob")
            reading.join(10)
            assert not reading.is_alive()
            assert "event: error" in lines
            assert "taken back" in lines[-2]


def test_what_was_deleted_is_nowhere_on_disk(live: Live, ann: httpx.Client) -> None:
    canary = "zanzibarquokka"
    upload(ann, "hers", "secret.md", f"The word is {canary}, keep it.")
    ann.post("/api/ask", json={"question": f"What is {canary}?", "collection": "hers"})
    workspace = live.service.workspace
    workspace.collection("hers")._index.save(always=True)
    directory = workspace.settings.data_dir

    def places() -> list[Path]:
        return [path for path in directory.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]

    assert places()
    rows = {one["source"]: one["id"] for one in ann.get("/api/documents?collection=hers").json()["documents"]}
    assert ann.delete(f"/api/documents/hers/{rows['secret.md']}").status_code == 204
    assert canary not in ann.post("/api/search", json={"question": canary, "collection": "hers"}).text
    workspace.purge()
    assert places() == []


def test_upkeep_purges_after_a_deletion(live: Live, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    purged = threading.Event()
    before = live.service.workspace.purge
    monkeypatch.setattr(live.service.workspace, "purge", lambda: (before(), purged.set()))
    ann.delete("/api/documents/hers/3")
    assert purged.wait(40)


def test_access_log_says_who_used_which_document_and_no_text(live: Live, ann: httpx.Client) -> None:
    ann.post("/api/ask", json=ASK)
    found = live.client.get("/api/accesses", params={"who": "ann", "document": "umbrella.md"}).json()["accesses"]
    assert [entry["action"] for entry in found] == ["ask", "upload"]
    assert found[0]["collection"] == "hers"
    assert {entry["text"] for entry in found} == {""}
    assert live.client.get("/api/accesses", params={"who": "bob"}).json()["accesses"] == []


def test_access_log_keeps_questions_where_that_is_set(tmp_path: Path) -> None:
    with serving(tmp_path / "data", access_log_text=True) as live, user(live, "ann") as ann:
        upload(ann, "hers", "umbrella.md", SECRET)
        ann.post("/api/ask", json=ASK)
        (entry,) = [e for e in live.client.get("/api/accesses").json()["accesses"] if e["action"] == "ask"]
        assert entry["text"] == ASK["question"]
        ann.delete("/api/documents/hers/3")
        (entry,) = [e for e in live.client.get("/api/accesses").json()["accesses"] if e["action"] == "ask"]
        assert entry["text"] == ""


def test_too_many_requests_are_refused_for_whoever_sends_them(tmp_path: Path) -> None:
    with serving(tmp_path / "data", requests_per_minute=10) as live, user(live, "ann") as ann, user(live, "bob") as bob:
        answers = [ann.get("/api/about").status_code for _ in range(12)]
        assert answers[:10] == [200] * 10
        assert 429 in answers
        assert bob.get("/api/about").status_code == 200


def test_secrets_are_in_no_file_log_or_answer(live: Live, ann: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    key = ann.post("/api/keys", json={}).json()["key"]
    with client_with(live, key) as client:
        client.post("/api/ask", json=ASK)
        client.post("/api/ask", json={"wrong": True})
        shown = "".join(client.get(path).text for path in ("/api/keys", "/api/about", "/api/collections"))
    shown += live.client.get("/metrics").text + live.client.get("/api/accesses").text + caplog.text
    assert key not in shown
    stored = [path.read_bytes() for path in live.service.workspace.settings.data_dir.rglob("*") if path.is_file()]
    assert not any(key.encode() in content for content in stored)
    assert not any(re.search(rb"hg-[\w-]{43}", content) for content in stored)


def test_suspended_user_is_refused_at_the_next_request(live: Live, ann: httpx.Client) -> None:
    assert live.client.patch("/api/users/ann", json={"is_suspended": True}).status_code == 204
    assert ann.get("/api/about").status_code == 401
    live.client.patch("/api/users/ann", json={"is_suspended": False})
    assert ann.get("/api/about").status_code == 200


def test_bad_users_groups_and_grants_are_refused_with_a_reason(live: Live, ann: httpx.Client) -> None:
    for method, path, body, reason in (
        ("POST", "/api/users", {"name": "ann"}, "already"),
        ("POST", "/api/users", {"name": "x", "password": "short"}, "10 to 1024"),
        ("PATCH", "/api/users/none", {"is_admin": True}, "no user 'none'"),
        ("PUT", "/api/groups/team", {"members": ["none"]}, "no user 'none'"),
        ("PUT", "/api/collections/hers/grants", {"level": "read", "user": "none"}, "no user 'none'"),
        ("PUT", "/api/collections/hers/grants", {"level": "read", "user": "ann", "source": "x"}, "no document 'x'"),
        ("PUT", "/api/collections/hers/grants", {"level": "read"}, "either a user or a group"),
    ):
        answer = live.client.request(method, path, json=body)
        assert answer.status_code == 422
        assert reason in json.dumps(answer.json())


def test_https_is_spoken_with_the_given_certificate(tmp_path: Path) -> None:
    """The program itself, with a certificate made here: who does not know it refuses, who does signs in."""
    certificate, private_key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", private_key, "-out", certificate]
    subprocess.run(["openssl", "req", "-x509", *kind, *name, *files], check=True, capture_output=True)
    command = [sys.executable, "-m", "tests.serving", str(tmp_path / "data"), "--certificate", certificate]
    command += ["--private-key", private_key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            address = next(line for line in server.stdout if "Sign in: " in line).split()[-1]
            assert address.startswith("https://127.0.0.1:")
            url = address.replace("127.0.0.1", "localhost")
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(url, trust_env=False)
            context = ssl.create_default_context(cafile=certificate)
            response = httpx.get(url, trust_env=False, verify=context)
            assert (response.status_code, response.headers["Location"]) == (303, "/")
            assert all("Secure" in cookie for cookie in response.headers.get_list("Set-Cookie"))
        finally:
            server.terminate()
