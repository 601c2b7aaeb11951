"""Training, deciding and evaluating in a real browser, on the real server."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.store import models_dir
from tests.fakes import ScriptedGenerator
from tests.serving import BADGE_QUESTION, LEAVE_QUESTION, REPLY, Live, serving
from tests.training import questions

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any
Picture = Callable[[Page, str], None]

PROGRAM_MS = 600_000  # a program of ours loads torch and a model, on a machine that may do much beside
ENDED = re.compile("^(done|failed|stopped|interrupted)$")
QUESTIONS = [
    BADGE_QUESTION,
    {
        "id": "van",
        "question": "Who may drive the badge van?",
        "answer": "the director",
        "evidence": [{"source": "van.md", "quote": "the director alone may drive the van"}],
    },
    LEAVE_QUESTION,
]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def expect_end(run: Any, state: str, timeout: int = PROGRAM_MS) -> None:
    """Wait until a run has ended; if it ended otherwise, fail with what the page says about it."""
    badge = run.locator("[data-state]")
    expect(badge).to_have_text(ENDED, timeout=timeout)
    assert badge.inner_text() == state, run.inner_text()


def upload(page: Page, label: str, name: str, content: bytes) -> None:
    page.get_by_label(label).set_input_files({"name": name, "mimeType": "application/jsonl", "buffer": content})


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(tmp_path / "adapters"))
    return tmp_path / "adapters"


@pytest.mark.weights
@pytest.mark.skipif(not (models_dir() / "smollm2-135m-instruct").is_dir(), reason="the default model is not fetched")
def test_adapter_is_planned_trained_stopped_and_gone_on_with(
    adapters: Path, open_page: Callable[..., Page], picture: Picture
) -> None:
    page = open_page()
    page.get_by_role("link", name="Adapters").click()
    page.get_by_role("link", name="Train an adapter").click()
    page.get_by_label("Name of the adapter").fill("letters")
    upload(page, "Examples (JSON Lines)", "letters.jsonl", lines(questions(40)))
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("4")
    picture(page, "training-form")
    page.get_by_role("button", name="Check and plan").click()
    run = page.get_by_role("region", name="Training", exact=True)
    expect(run).to_contain_text("This is what would be trained", timeout=PROGRAM_MS)
    expect(run.locator(".facts")).to_contain_text("Examples to learn30")
    expect(run.locator(".facts")).to_contain_text("Steps4")
    picture(page, "training-plan")
    page.get_by_role("button", name="Start").click()
    expect(run.locator(".plot circle").first).to_be_visible(timeout=PROGRAM_MS)  # an evaluation, and its checkpoint
    page.reload()
    expect(run.locator(".plot circle").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect_end(run, "stopped")
    expect(run).to_contain_text("It goes on from its last checkpoint.")
    picture(page, "training-stopped")
    page.get_by_role("button", name="Go on").click()
    expect(run.locator("[data-state]")).not_to_have_text("stopped")
    expect_end(run, "done")
    expect(run.locator(".notice")).to_contain_text("The adapter is trained")
    run.get_by_text("As a table").click()
    expect(run.locator("tbody tr").last).to_contain_text("step 4")
    picture(page, "training-done")
    page.get_by_role("link", name="To the adapters").click()
    assert (adapters / "letters" / "manifest.json").is_file()
    with page.expect_download() as download:
        page.get_by_role("article", name="letters").get_by_role("link", name="Training report").click()
    assert "letters" in Path(download.value.path()).read_text(encoding="utf-8")


def test_bad_examples_are_named_in_the_page(adapters: Path, open_page: Callable[..., Page]) -> None:
    page = open_page((390, 800))
    page.goto(page.url.split("#")[0] + "#/adapters/new")
    page.get_by_label("Name of the adapter").fill("Not A Name")
    upload(page, "Examples (JSON Lines)", "rows.jsonl", lines([{"prompt": "a", "completion": "b"}]) + b"no json\n")
    page.get_by_role("button", name="Check and plan").click()
    expect(page.get_by_role("region", name="Training", exact=True)).to_have_count(0)
    page.get_by_label("Name of the adapter").fill("letters")
    page.get_by_role("button", name="Check and plan").click()
    run = page.get_by_role("region", name="Training", exact=True)
    expect(run.get_by_role("alert")).to_contain_text("train.jsonl, line 2: is not JSON", timeout=PROGRAM_MS)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Adapters", exact=True)).to_be_focused()
    expect(page.locator(".run-list")).to_have_count(0)


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator([REPLY, "Nobody knows.", "You have 25 days [1]."], adapters=("house-style",))


def test_collection_is_measured_and_its_failures_lead_to_the_source(
    open_page: Callable[..., Page], live: Live, picture: Picture
) -> None:
    page = open_page()
    page.get_by_role("link", name="Evaluate").click()
    expect(page.get_by_label("Collection", exact=True)).to_have_value("handbook")
    page.get_by_label("Name", exact=True).fill("first")
    upload(page, "File (JSON Lines)", "q.jsonl", b'{"question": "a"}\n')
    page.get_by_role("button", name="Keep these questions").click()
    expect(page.get_by_role("alert").filter(has_text="no question with evidence")).to_be_visible()
    upload(page, "File (JSON Lines)", "q.jsonl", lines(QUESTIONS))
    page.get_by_role("button", name="Keep these questions").click()
    expect(page.get_by_label("Questions", exact=True)).to_contain_text("first (3 questions)")
    page.get_by_role("button", name="Measure", exact=True).click()
    view = page.get_by_role("region", name="Evaluation", exact=True)
    expect_end(view, "done", 60_000)
    expect(view).to_contain_text("Evidence among the first ten0.667")
    expect(view.locator(".case")).to_have_count(1)
    expect(view.locator(".case")).to_contain_text("evidence not found")
    expect(view.locator(".case")).to_contain_text("van.md: “the director alone may drive the van”")
    view.get_by_role("button", name="Badges").first.click()
    expect(page.get_by_role("complementary", name="Badges")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Also answer the questions").check()
    page.get_by_role("button", name="Measure", exact=True).click()
    expect_end(view, "done", 60_000)
    expect(view).to_contain_text("Answers with the expected words0.667")
    expect(view.locator(".case").first).to_contain_text("Nobody knows.")
    expect(page.locator(".evaluate > figure .plot circle")).to_have_count(5)  # two measures twice, answers once
    picture(page, "evaluate")
    view.get_by_label("Only failures").uncheck()
    expect(view.locator(".case")).to_have_count(3)
    page.get_by_role("region", name="Evaluations").get_by_role("link").last.click()
    expect(view).not_to_contain_text("Answers with the expected words")
    page.reload()
    expect(view).to_contain_text("Evidence among the first ten0.667")


def test_changed_file_is_chosen_again_and_its_questions_are_deleted(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page()
    page.get_by_role("link", name="Evaluate").click()
    page.get_by_label("Name", exact=True).fill("first")
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"no json\n")
    page.get_by_label("File (JSON Lines)").set_input_files(path)
    page.get_by_role("button", name="Keep these questions").click()
    expect(page.get_by_role("alert").filter(has_text="line 1")).to_be_visible()
    path.write_bytes(lines([{"question": "What does a lost badge cost?", "answer": "five pounds"}]))
    page.get_by_role("button", name="Keep these questions").click()
    expect(page.get_by_role("alert").filter(has_text="choose it again")).to_be_visible()
    expect(page.get_by_label("File (JSON Lines)")).to_be_focused()
    expect(page.get_by_label("File (JSON Lines)")).to_have_value("")
    page.get_by_label("File (JSON Lines)").set_input_files(path)
    page.get_by_role("button", name="Keep these questions").click()
    expect(page.get_by_label("Questions", exact=True)).to_be_focused()
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="have them answered, too")).to_be_visible()
    page.get_by_role("button", name="Delete these questions").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Delete these questions")).to_be_focused()
    page.get_by_role("button", name="Delete these questions").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Add questions")).to_be_focused()
    expect(page.get_by_label("Questions", exact=True)).to_be_hidden()


def test_votes_become_questions_with_the_keyboard_alone(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = [REPLY, "Nothing."]
    page = open_page()
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("button", name="Remove way 3").click()
    page.get_by_label("Your question").fill("What does a lost badge cost?")
    page.get_by_label("Documents of way 1").select_option("handbook")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Compare").press("Enter")
    page.get_by_role("button", name="A is best").press("Enter")
    expect(page.get_by_text("Your vote is kept.")).to_be_visible()
    page.get_by_role("link", name="Evaluate").press("Enter")
    expect(page.get_by_role("heading", name="Evaluate", exact=True)).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator("button:focus", has_text="Take the questions that I voted on").count():
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Questions", exact=True)).to_contain_text("votes (1 question)")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator("button:focus", has_text="Measure").count():
            break
    else:
        page.get_by_role("button", name="Measure", exact=True).focus()
    page.keyboard.press("Enter")
    expect_end(page.locator(".run"), "done", 60_000)
    expect(page.get_by_text("No failure.")).to_be_visible()


def test_evaluation_that_runs_is_followed_and_stopped(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.gate = threading.Event()
    body = {"collection": "handbook", "name": "first", "text": lines(QUESTIONS).decode()}
    asked = live.client.post("/api/question-sets", json=body).json()["id"]
    run = live.client.post("/api/evaluations", json={"set_id": asked, "answers": True}).json()["id"]
    page = open_page((390, 800))
    page.goto(f"{live.url}/#/evaluate/handbook:{run}")
    view = page.get_by_role("region", name="Evaluation", exact=True)
    expect(view.locator(".progress-line")).to_contain_text("Answering")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.route("**/cancel", lambda route: route.fulfill(status=204))  # the server takes its time
    view.get_by_role("button", name="Stop").click()
    expect(view.get_by_role("status")).to_have_text("Stopping…")
    expect(view.get_by_role("status")).to_be_focused()
    page.get_by_role("link", name="Documents").click()
    page.go_back()
    expect(view.get_by_role("status")).to_have_text("Stopping…")
    expect(view.get_by_role("button", name="Stop")).to_be_disabled()
    live.client.post(f"/api/runs/{run}/cancel")
    expect(view.locator("[data-state]")).to_have_text("stopped")
    expect(page.locator(".toast")).to_have_count(0)
    view.get_by_role("button", name="Go on").click()
    expect(view.get_by_role("button", name="Stop")).to_be_enabled()
    page.get_by_text("Add questions").click()
    page.get_by_label("Name", exact=True).fill("second")
    live.generator.gate.set()
    expect_end(view, "done", 60_000)
    expect(page.get_by_role("region", name="Evaluations").locator("tbody [data-state]")).to_have_text("done")
    expect(page.get_by_label("Name", exact=True)).to_have_value("second")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()


def test_requirements_have_their_prior_at_once(open_page: Callable[..., Page], live: Live, picture: Picture) -> None:
    page = open_page()
    page.get_by_role("link", name="Decide").click()
    prior = page.locator(".prior")
    expect(prior).to_contain_text("the model as it is may be enough", timeout=60_000)
    page.get_by_label("Answers must rest on facts").check()
    expect(prior).to_contain_text("this speaks for retrieval.", timeout=60_000)
    page.get_by_label("A fixed form, style or jargon").check()
    expect(prior).to_contain_text("retrieval and fine-tuning together", timeout=60_000)
    expect(prior).to_contain_text("form and style are learnt from examples")
    picture(page, "decide-form")


@pytest.mark.weights
@pytest.mark.skipif(not (models_dir() / "smollm2-135m-instruct").is_dir(), reason="the default model is not fetched")
def test_decision_is_measured_on_a_collection_and_reported(
    browser: Any, tmp_path: Path, adapters: Path, real: Live, picture: Picture
) -> None:
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.goto(f"{real.url}/sign-in?token={real.tokens[-1]}")
    page.get_by_role("link", name="Decide").click()
    page.get_by_label("Answers must rest on facts").check()
    page.get_by_label("Name of the decision").fill("badges")
    upload(page, "Test questions (JSON Lines)", "test.jsonl", lines(QUESTIONS[::2]))
    page.get_by_label("Documents to retrieve from").select_option("handbook")
    page.get_by_role("button", name="Start measuring").click()
    run = page.get_by_role("region", name="Decision", exact=True)
    expect(run.locator("tbody tr").first).to_be_visible(timeout=PROGRAM_MS)
    expect_end(run, "done")
    expect(run.get_by_role("region", name="Recommendation")).to_be_visible()
    expect(run.get_by_role("region", name="Measured on 2 questions").locator("tbody tr")).to_have_count(2)
    picture(page, "decide-done")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the whole report").click()
    assert "badges" in Path(download.value.path()).read_text(encoding="utf-8")
    folders = list((tmp_path / "real" / "runs").iterdir())
    assert [(folder / "store").exists() for folder in folders] == [False]
    context.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Live]:
    """A server whose collection was made with the real embedder, so that another program can open a copy of it."""
    with serving(tmp_path / "real", embedder=None) as live:
        yield live
