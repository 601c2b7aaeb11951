"""A running server offers what training puts beside it: no restart, and the base model stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models import adapter_store
from models.adapter_store import locate, offered
from models.adapters import accept
from models.engines import load_generator
from models.store import Model
from tests.fakes import write_tiny_adapter
from tests.serving import Live, serving
from tests.training import tiny_model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(tmp_path / "adapters"))
    monkeypatch.setattr(adapter_store, "SHIPPED", tmp_path / "none")
    return tmp_path / "adapters"


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return tiny_model(tmp_path / "tiny")


@pytest.fixture
def live(tmp_path: Path, model: Model, home: Path) -> Iterator[Live]:
    with serving(tmp_path / "data", load_generator(model, "transformers", "cpu", partial(offered, model))) as server:
        yield server


def names(live: Live) -> list[str]:
    return [one["id"] for one in live.client.get("/v1/models").json()["data"]]


def say(live: Live, model: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "badge"}], "max_tokens": 12}
    answer: dict[str, Any] = live.client.post("/v1/chat/completions", json=body).json()
    return answer


def text(live: Live, model: str) -> str:
    return str(say(live, model)["choices"][0]["message"]["content"])


def test_adapters_come_and_go_while_the_server_runs(live: Live, model: Model, home: Path) -> None:
    assert names(live) == ["tiny", "tiny@handbook", "hash"]
    base, grounded = text(live, "tiny"), text(live, "tiny@handbook")
    assert say(live, "tiny:terse")["error"]["code"] == "model_not_found"
    write_tiny_adapter(home / "terse", model)
    assert names(live) == ["tiny", "tiny@handbook", "tiny:terse", "tiny:terse@handbook", "hash"]
    assert text(live, "tiny:terse") != base
    assert text(live, "tiny:terse@handbook") != grounded
    assert (text(live, "tiny"), text(live, "tiny@handbook")) == (base, grounded)
    write_tiny_adapter(home / "formal", model, seed=1)
    answers = [text(live, f"tiny:{name}") for name in ("terse", "formal", "terse", "formal")]
    assert answers[:2] == answers[2:]
    assert answers[0] != answers[1]
    assert text(live, "tiny") == base
    shutil.rmtree(home / "terse")
    assert say(live, "tiny:terse")["error"]["code"] == "model_not_found"
    asked = live.client.post("/api/ask", json={"question": "badge?", "collection": "handbook", "adapter": "terse"})
    assert asked.status_code == 404
    assert "offered are: formal" in asked.json()["error"]["message"]


def test_adapter_that_failed_its_gate_is_offered_when_somebody_accepts_it(live: Live, model: Model, home: Path) -> None:
    write_tiny_adapter(home / "terse", model)
    manifest = home / "terse" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"gate_passed": true', '"gate_passed": false'))
    assert "tiny:terse" not in names(live)
    accept(locate("terse"))
    assert "tiny:terse" in names(live)


def test_damaged_adapter_is_an_error_and_never_the_base_model(live: Live, model: Model, home: Path) -> None:
    base = text(live, "tiny")
    write_tiny_adapter(home / "terse", model)
    weights = home / "terse" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    error = say(live, "tiny:terse")["error"]
    assert "adapter_model.safetensors has changed since training" in error["message"]
    assert text(live, "tiny") == base
