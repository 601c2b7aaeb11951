"""The edge: whatever is not ours, not signed in, too large or of the wrong kind is refused before any endpoint."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.api.edge import MAX_JSON_BYTES, PUBLIC
from rag.api.page import STATIC_PREFIX
from tests.fakes import ScriptedGenerator
from tests.serving import API_KEY, Live, routes, serving

ASK = {"question": "What does a lost badge cost?"}
WEB = Path(__file__).resolve().parents[2] / "rag" / "web"
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "Hello?"}]}


def body_of(method: str, path: str) -> dict[str, Any]:
    if method in ("GET", "HEAD", "DELETE"):
        return {}
    if path == "/api/documents":
        return {"files": {"files": ("a.txt", b"text")}, "data": {"collection": "handbook"}}
    return {"json": {}}


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"]
    return error


def test_every_route_but_the_public_ones_needs_credentials(shared_live: Live) -> None:
    found = list(routes(shared_live))
    assert len(found) > 20
    with shared_live.stranger() as stranger:
        for method, path in found:
            response = stranger.request(method, re.sub(r"\{\w+\}", "1", path), **body_of(method, path))
            if path in PUBLIC or path.startswith(STATIC_PREFIX):
                assert response.status_code != 401, (method, path)
            else:
                assert response.status_code == 401, (method, path)
                assert response.headers["WWW-Authenticate"] == "Bearer"


def test_public_routes_are_these(shared_live: Live) -> None:
    public = {path for _, path in routes(shared_live) if path in PUBLIC or path.startswith(STATIC_PREFIX)}
    assert public == {"/", "/healthz", "/readyz", "/sign-in", "/web/{name:path}"}


@pytest.mark.parametrize("path", ["/nothing", "/docs", "/redoc", "//api/about", "/api/../metrics", "/webx", "/%2e%2e/"])
def test_paths_that_do_not_exist_need_credentials_too(shared_live: Live, path: str) -> None:
    with shared_live.stranger() as stranger:
        assert stranger.get(path).status_code == 401
    assert shared_live.client.get("/nothing").status_code == 404


@pytest.mark.parametrize("name", ["..%2fserve.py", "%2e%2e", "..%5cserve.py", "nothing.js", "%00"])
def test_names_below_the_page_never_become_paths(shared_live: Live, name: str) -> None:
    with shared_live.stranger() as stranger:
        assert stranger.get(f"/web/{name}").status_code in (401, 404)


def test_every_response_has_the_security_headers(shared_live: Live) -> None:
    with shared_live.stranger() as stranger:
        responses = [stranger.get(path) for path in ("/", "/healthz", "/api/about", "/web/app.js", "/sign-in")]
    responses += [shared_live.client.get(path) for path in ("/api/about", "/nothing", "/v1/models")]
    responses += [shared_live.client.post("/api/ask", content=b"x")]
    for response in responses:
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in response.headers
    assert responses[-1].headers["Cache-Control"] == "no-store"


def test_page_files_are_revalidated(shared_live: Live) -> None:
    with shared_live.stranger() as stranger:
        first = stranger.get("/web/app.js")
        assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert first.headers["Cache-Control"] == "no-cache"
        again = stranger.get("/web/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_page_names_its_files_under_their_version(shared_live: Live) -> None:
    with shared_live.stranger() as stranger:
        names = set(re.findall(r'(?:href|src)="(/web/[^"]+)"', stranger.get("/").text))
        files = [stranger.get(name) for name in names]
        sheet = next(file for file in files if file.url.path.endswith("styles.css")).text
    assert {file.status_code for file in files} == {200}
    assert {file.headers["Cache-Control"] for file in files} == {"public, max-age=31536000, immutable"}
    assert "@import" not in sheet
    assert all(part.read_text(encoding="utf-8") in sheet for part in WEB.glob("*.css") if part.name != "styles.css")


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.org"])
def test_foreign_host_is_refused_even_with_the_key(shared_live: Live, host: str) -> None:
    for path in ("/", "/healthz", "/api/about"):
        response = shared_live.client.get(path, headers={"Host": host})
        assert response.status_code == 403
        assert error_of(response)["code"] == "wrong_host"


def test_our_own_names_are_hosts(shared_live: Live) -> None:
    port = httpx.URL(shared_live.url).port
    for name in ("127.0.0.1", "localhost", "[::1]", "LocalHost"):
        assert shared_live.client.get("/api/about", headers={"Host": f"{name}:{port}"}).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_foreign_website_changes_nothing(shared_live: Live, method: str, headers: dict[str, str]) -> None:
    with shared_live.signed_in() as browser:
        own = {"Origin": shared_live.url} | headers
        for client in (browser, shared_live.client):
            response = client.request(method, "/api/collections/handbook", headers=own)
            assert response.status_code == 403
            assert error_of(response)["code"] == "foreign_origin"
    assert shared_live.client.get("/api/collections").json()["collections"][0]["documents"] == 2


@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_website_reads_nothing(shared_live: Live, headers: dict[str, str]) -> None:
    with shared_live.signed_in() as browser:
        assert browser.get("/api/documents", headers=headers).status_code == 403
        assert browser.get("/api/documents").status_code == 200


def test_cookie_without_an_origin_changes_nothing(live: Live) -> None:
    with live.signed_in() as browser:
        assert browser.delete("/api/collections/handbook").status_code == 403
        assert browser.delete("/api/collections/handbook", headers={"Origin": live.url}).status_code == 204


def test_form_of_another_website_is_refused(live: Live) -> None:
    with live.signed_in() as browser:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            response = browser.post(
                "/api/ask", content=json.dumps(ASK), headers={"Content-Type": kind, "Origin": live.url}
            )
            assert response.status_code == 415
            assert error_of(response)["code"] == "unsupported_media_type"
    assert not live.generator.asked


def test_sign_in_link_works_once_and_sets_a_strict_cookie(live: Live) -> None:
    with live.stranger() as browser:
        response = browser.get("/sign-in", params={"token": live.tokens[0]})
        assert (response.status_code, response.headers["Location"]) == (303, "/")
        session, csrf = response.headers.get_list("Set-Cookie")
        assert re.fullmatch(r"homeground-\d+=[\w-]{43}; HttpOnly; Max-Age=\d+; Path=/; SameSite=strict", session)
        assert re.fullmatch(r"homeground-csrf-\d+=[0-9a-f]{64}; Max-Age=\d+; Path=/; SameSite=strict", csrf)
        assert browser.get("/api/about").status_code == 200
    with live.stranger() as other:
        again = other.get("/sign-in", params={"token": live.tokens[0]})
        assert (again.status_code, again.headers["Location"]) == (303, "/?sign-in=refused")
        assert "Set-Cookie" not in again.headers
        assert other.get("/api/about").status_code == 401
        assert other.get("/sign-in", params={"token": live.tokens[1]}).headers["Location"] == "/"


def test_sign_in_link_is_not_used_up_by_a_prefetch(live: Live) -> None:
    with live.stranger() as browser:
        for header in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
            assert browser.get("/sign-in", params={"token": live.tokens[0]}, headers=header).status_code == 425
        assert browser.get("/sign-in", params={"token": live.tokens[0]}).headers["Location"] == "/"


def test_sign_out_ends_the_session(live: Live) -> None:
    with live.signed_in() as browser:
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        assert browser.post("/sign-out", headers={"Origin": live.url}).status_code == 204
        assert browser.get("/api/about").status_code == 401
        assert browser.get("/api/about", headers={"Cookie": cookie}).status_code == 401


def test_wrong_key_is_refused_and_told_apart_from_nobody(shared_live: Live) -> None:
    with shared_live.stranger() as stranger:
        for header in ("Bearer wrong", f"Basic {API_KEY}", API_KEY):
            response = stranger.get("/v1/models", headers={"Authorization": header})
            assert response.status_code == 401
            assert error_of(response)["type"] == "authentication_error"


def test_body_larger_than_the_limit_is_refused_by_its_length(shared_live: Live) -> None:
    response = shared_live.client.post("/api/ask", json={"question": "x" * (MAX_JSON_BYTES + 1)})
    assert response.status_code == 413
    assert error_of(response)["code"] == "too_large"


def test_body_without_a_length_is_counted_while_it_is_read(shared_live: Live) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50 * MAX_JSON_BYTES:
            sent += 65536
            yield b" " * 65536

    with suppress(httpx.TransportError):  # the server closes, perhaps before the client has read why
        shared_live.client.post("/api/ask", content=endless(), headers={"Content-Type": "application/json"})
    assert sent < 5 * MAX_JSON_BYTES
    assert 'route="/api/ask",status="413"} 1.0' in shared_live.client.get("/metrics").text


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999", "x"])
def test_content_length_that_is_nonsense_is_refused(shared_live: Live, length: str) -> None:
    url = httpx.URL(shared_live.url)
    assert url.port
    with socket.create_connection((url.host, url.port), timeout=10) as raw:
        head = f"POST /api/ask HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: Bearer {API_KEY}\r\n"
        raw.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        assert re.match(rb"HTTP/1.1 (400|413) ", raw.recv(1000))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"question": 1}', b'{"question": "\\ud800"}', b"\xff",
        b'{"question": "x", "k": NaN}', b'{"question": "x", "k": 1e999}', b'{"question": "x", "k": -1}',
        b'{"question": "x", "k": ' + b"9" * 5000 + b"}", b'{"question": "x", "where": {"metadata": {"a": []}}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/search", "/api/ask", "/v1/chat/completions", "/v1/embeddings"])
def test_bodies_that_are_nonsense_are_refused_and_not_repeated(shared_live: Live, path: str, content: bytes) -> None:
    response = shared_live.client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 415, 422)
    error_of(response)
    assert len(response.content) < 2000


def test_unexpected_error_is_a_plain_500_and_its_text_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ScriptedGenerator):
        def count_tokens(self, messages: object) -> int:
            raise RuntimeError(f"canary {4700 + 11}")

    with serving(tmp_path, Broken([""])) as live:
        requests: list[tuple[str, dict[str, Any]]] = [
            ("/api/ask", ASK),
            ("/api/ask", {**ASK, "stream": True}),
            ("/v1/chat/completions", CHAT),
        ]
        for path, body in requests:
            response = live.client.post(path, json=body)
            assert "4711" not in response.text
            assert "the server made a mistake" in response.text
            assert response.status_code == (200 if "stream" in body else 500)
    assert "unexpected RuntimeError" in caplog.text
    assert "4711" not in caplog.text


def test_until_the_models_are_there_everything_is_refused_but_the_page(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        live.service._loaded.clear()
        ready = live.client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "loading"})
        for method, path in (("GET", "/api/about"), ("POST", "/api/ask"), ("GET", "/v1/models")):
            response = live.client.request(method, path, **body_of(method, path))
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "2"
            assert error_of(response)["code"] == "loading"
        for path in ("/", "/healthz", "/metrics"):
            assert live.client.get(path).status_code == 200
