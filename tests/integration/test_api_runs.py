"""Trainings that people start in the page, with a tiny model: planned, run, ended, resumed, and what is refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.fakes import write_tiny_generator
from tests.serving import Live, serving, wait_until
from tests.training import questions

Files = Mapping[str, tuple[str, bytes]]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


ROWS = lines(questions(60))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_generator(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(tmp_path / "adapters"))
    return tmp_path / "adapters"


@pytest.fixture
def live(tmp_path: Path, base: Path, home: Path) -> Iterator[Live]:
    with serving(tmp_path / "data", base=str(base)) as server:
        yield server


def plan(live: Live, rows: bytes = ROWS, files: Files | None = None, **chosen: Any) -> httpx.Response:
    settings = {"name": "letters", "recipe": "cpu", "steps": 6, **chosen}
    sent = {"train": ("../../evil.jsonl", rows), **(files or {})}
    return live.client.post("/api/runs/training", data={"settings": json.dumps(settings)}, files=sent)


def state(live: Live, run: int) -> str:
    return str(live.client.get(f"/api/runs/{run}").json()["state"])


def reached(live: Live, run: int, *states: str) -> dict[str, Any]:
    wait_until(lambda: state(live, run) in states, seconds=180)
    found: dict[str, Any] = live.client.get(f"/api/runs/{run}").json()
    return found


def planned(live: Live, **chosen: Any) -> int:
    answer = plan(live, **chosen)
    assert answer.status_code == 201, answer.text
    run = int(answer.json()["id"])
    assert reached(live, run, "planned", "failed")["failure"] == ""
    return run


def children(live: Live) -> list[psutil.Process]:
    own = psutil.Process().children(recursive=True)
    return [child for child in own if "rag.runs.child" in " ".join(child.cmdline())]


def test_training_is_planned_run_and_offered(live: Live, home: Path) -> None:
    run = planned(live)
    facts = live.client.get(f"/api/runs/{run}").json()["result"]["plan"]
    assert (facts["rows"] + facts["held_out_rows"], facts["steps"]) == (60, 6)
    assert live.client.post(f"/api/runs/{run}/start").status_code == 202
    found = reached(live, run, "done", "failed")
    assert found["state"] == "done", found["failure"]
    assert [point["step"] for point in found["points"] if "loss" in point] == [1, 2, 3, 4, 5, 6]
    assert any("eval_loss" in point for point in found["points"])
    assert found["points"][-1] == {"phase": "judging"}
    again = live.client.get(f"/api/runs/{run}", params={"after": found["next"]}).json()
    assert (again["points"], again["next"]) == ([], found["next"])
    assert "letters" in [one["name"] for one in live.client.get("/api/adapters").json()["adapters"]]
    assert live.client.get("/api/adapters/letters/report").status_code == 200
    assert "already" in plan(live).json()["error"]["message"]
    assert live.client.delete(f"/api/runs/{run}").status_code == 204
    assert (home / "letters").is_dir()
    assert not (live.service.workspace.settings.data_dir / "runs" / str(run)).exists()


def test_bad_row_is_named_with_its_line(live: Live) -> None:
    rows = ROWS + b'{"prompt": "no answer"}\nnot json\n'
    run = plan(live, rows).json()["id"]
    failure = reached(live, run, "failed", "planned")["failure"]
    assert "train.jsonl, line 61:" in failure
    assert "train.jsonl, line 62: is not JSON" in failure
    assert str(live.service.workspace.settings.data_dir) not in failure
    live.client.delete(f"/api/runs/{run}")
    run = plan(live, rows, skip_bad_rows=True).json()["id"]
    assert reached(live, run, "failed", "planned")["result"]["plan"]["skipped_rows"] == 2


@pytest.mark.parametrize(
    ("chosen", "files", "said"),
    [
        ({"name": "../evil"}, {}, "name"),
        ({"name": "base"}, {}, "means no adapter"),
        ({"recipe": "several-gpus"}, {}, "there is no recipe"),
        ({"base": "/etc"}, {}, "Extra inputs"),
        ({"steps": 0}, {}, "steps"),
        ({"score": "json_schema"}, {}, "JSON Schema"),
        ({}, {"form": ("s.json", b"{}")}, "JSON Schema"),
        ({"licence": "MIT\nbase: /etc"}, {}, "licence"),
        ({}, {"evaluation": ("e.jsonl", b"")}, "the file is empty"),
    ],
)
def test_choice_that_is_none_leaves_nothing_behind(live: Live, chosen: dict[str, Any], files: Files, said: str) -> None:
    refused = plan(live, files=files, **chosen)
    assert refused.status_code in (422, 500), refused.text
    assert said in refused.json()["error"]["message"]
    assert live.client.get("/api/runs").json()["runs"] == []
    assert not list((live.service.workspace.settings.data_dir / "runs").glob("*"))


def test_training_is_cancelled_and_gone_on_with(live: Live, home: Path) -> None:
    run = planned(live, steps=60)
    live.client.post(f"/api/runs/{run}/start")

    def saved() -> list[dict[str, Any]]:
        points = live.client.get(f"/api/runs/{run}").json()["points"]
        return [point for point in points if "checkpoint" in point]

    wait_until(saved, seconds=120)
    assert live.client.delete(f"/api/runs/{run}").status_code == 409
    assert live.client.post(f"/api/runs/{run}/cancel").status_code == 204
    stopped = reached(live, run, "cancelled", "done")
    assert stopped["state"] == "cancelled"
    last = max(point["step"] for point in stopped["points"] if "loss" in point)
    assert last < 60
    assert live.client.post(f"/api/runs/{run}/resume").status_code == 202
    found = reached(live, run, "done", "failed")
    assert found["state"] == "done", found["failure"]
    steps = [point["step"] for point in found["points"] if "loss" in point]
    assert steps[-1] == 60
    assert steps.count(1) == 1  # it went on, and did not begin again


def test_run_that_waits_is_cancelled_at_once_and_its_leftovers_go(live: Live, home: Path) -> None:
    first, second = planned(live, steps=5000), planned(live, name="others", steps=6)
    for run in (first, second):
        live.client.post(f"/api/runs/{run}/start")
    assert state(live, second) == "queued"
    live.client.post(f"/api/runs/{second}/cancel")
    assert state(live, second) == "cancelled"
    wait_until((home / ".runs" / "letters").is_dir, seconds=60)
    live.client.post(f"/api/runs/{first}/cancel")
    reached(live, first, "cancelled")
    assert live.client.delete(f"/api/runs/{first}").status_code == 204
    assert not (home / ".runs" / "letters").exists()


def test_killed_program_is_a_failure_and_the_end_of_the_server_an_interruption(
    tmp_path: Path, base: Path, home: Path
) -> None:
    with serving(tmp_path / "data", base=str(base)) as live:
        run = planned(live, steps=5000)
        live.client.post(f"/api/runs/{run}/start")
        wait_until(lambda: live.client.get(f"/api/runs/{run}").json()["points"], seconds=60)
        (child,) = children(live)
        os.killpg(child.pid, signal.SIGKILL)
        assert "a signal (9)" in reached(live, run, "failed")["failure"]
        live.client.post(f"/api/runs/{run}/resume")
        wait_until(lambda: children(live), seconds=60)
    assert not children(live)
    with serving(tmp_path / "data", base=str(base)) as live:
        found = live.client.get(f"/api/runs/{run}").json()
        assert (found["state"], found["failure"]) == ("interrupted", "")
        assert found["result"]["plan"]["steps"] == 5000


def test_decision_without_a_usable_question_fails_in_words(live: Live) -> None:
    settings = json.dumps({"name": "badges", "requirements": {"facts": True}})
    files = {"test": ("t.jsonl", b'{"question": "a"}\nnot json\n')}
    run = live.client.post("/api/runs/decision", data={"settings": settings}, files=files).json()["id"]
    failure = reached(live, run, "failed", "done")["failure"]
    assert "test.jsonl, line 2" in failure
    assert live.client.get(f"/api/runs/{run}/report").json()["error"]["code"] == "no_report"
    assert live.client.get("/api/runs", params={"kind": "decision"}).json()["runs"][0]["id"] == run
