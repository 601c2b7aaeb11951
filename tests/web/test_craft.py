"""Every page in both themes, wide and narrow: no fault that axe-core finds, and its picture where one is wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.prompt import REFUSAL
from rag.runs.folder import RunFolder
from scripts.vendor import FOR_TESTS
from tests.fakes import write_tiny_adapter
from tests.serving import Live
from tests.training import tiny_model

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any
Picture = Callable[[Page, str], None]

AXE = FOR_TESTS[0].directory / "axe.min.js"
RUN = """async () => {
  const found = await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    rules: { "target-size": { enabled: true } },
  });
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""
ANSWER = (
    "You pay **five pounds** for a lost badge [1]. Bananas are rich in potassium and grow tall.\n\n"
    "| What | Cost |\n|---|---|\n| Badge | five pounds [1] |\n\n- one\n\n```\ncode\n```\n"
)
MAX_PAGE_BYTES = 350 * 1024
PLAN = {
    "base": "smollm2-135m-instruct",
    "device": "cpu",
    "rows": 216,
    "held_out_rows": 24,
    "skipped_rows": 2,
    "repeated_rows": 1,
    "leaked_rows": 0,
    "shortened_rows": 0,
    "steps": 300,
    "passes": 3.1,
    "trained_tokens": 120_400,
    "training_min": 11.2,
    "peak_memory_mib": 1430,
}
ARM = {"measures": {"right": {"mean": 0.42, "interval": [0.3, 0.55]}}, "speed": {"total_s_p50": 1.9}}
DECISION = {
    "prior": {
        "way": "retrieval",
        "sentence": "",
        "rows": [{"asked": "", "said": "", "speaks_for": "retrieval", "reason": "facts are quoted from documents"}],
    },
    "recommendation": {
        "sentences": ["Take retrieval: it is right in .42 of the questions, the model as it is in .05."]
    },
    "cannot_conclude": ["50 questions show no difference below ten points."],
    "questions": 50,
    "arms": {"base": ARM, "retrieval": ARM, "adapter": ARM, "both": ARM},
    "building": {},
}
QUESTIONS = (
    '{"question": "What does a lost badge cost?", "answer": "five pounds", "evidence": [{"source": "badges.md"}]}\n'
    '{"question": "Who may drive?", "answer": "the director", "evidence": [{"source": "van.md", "quote": "drive"}]}\n'
)
needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="no axe-core here: python -m scripts.vendor axe-core")


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "adapters"
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(home))
    write_tiny_adapter(home / "house-style", tiny_model(tmp_path / "tiny"))
    manifest = home / "house-style" / "manifest.json"
    held = json.loads(manifest.read_text(encoding="utf-8"))
    held["scores"] = {"before": {"exact_match": 0.12, "f1": 0.31}, "after": {"exact_match": 0.55, "f1": 0.7}}
    manifest.write_text(json.dumps(held), encoding="utf-8")
    (home / "house-style" / "report.html").write_text("<h1>Report</h1>", encoding="utf-8")
    return home


def ask(page: Page, question: str, count: int) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_have_count(count)


class Checker:
    """Looks for faults on a page in one size and one theme; its policy is off, because it would let no checker in."""

    def __init__(self, open_page: Callable[..., Page], picture: Picture, size: tuple[int, int], scheme: str) -> None:
        self.page = open_page(size, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
        self.faults: list[str] = []
        self._picture, self._width = picture, size[0]
        self._name = f"{'wide' if size[0] > 720 else 'narrow'}-{scheme}"

    def __call__(self, name: str) -> None:
        page = self.page
        self._picture(page, f"{name}-{self._name}")
        page.add_script_tag(path=AXE)
        # What lies half below the bars that stay in view would count as too small to hit; it can be scrolled out.
        style = page.add_style_tag(content=".top, .composer { position: static !important; }")
        self.faults.extend(f"{name}: {fault}" for fault in page.evaluate(RUN))
        style.evaluate("(element) => element.remove()")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= self._width, name


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[(1360, 860), (390, 800)], ids=["wide", "narrow"])
def check(
    request: pytest.FixtureRequest,
    scheme: str,
    live: Live,
    adapters: Path,
    open_page: Callable[..., Page],
    picture: Picture,
) -> Checker:
    assert adapters.is_dir()
    return Checker(open_page, picture, request.param, scheme)


@needs_axe
def test_no_page_has_a_fault_of_level_a_or_aa(live: Live, check: Checker) -> None:
    live.generator.replies = [ANSWER, REFUSAL, "Fully unbacked words without any marker.", ANSWER, ANSWER, ANSWER]
    page = check.page
    expect(page.get_by_label("Your question")).to_be_visible()
    check("ask-empty")
    ask(page, "What does a lost badge cost?", 1)
    page.get_by_role("button", name="How this came about").click()
    expect(page.locator(".facts")).to_be_visible()
    check("ask-answer")
    ask(page, "Who may drive the badge van?", 2)
    ask(page, "Which badge is unbacked?", 3)
    check("ask-abstained")
    page.locator("button.marker").first.click()
    expect(page.locator(".source mark")).to_be_visible()
    check("ask-source")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Delete Leave").click()
    expect(page.locator(".undo")).to_be_visible()
    check("documents")
    page.get_by_role("button", name="New collection").click()
    check("documents-dialog")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("Your question").fill("What does a lost badge cost?")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".vote")).to_be_visible()
    check("compare")
    page.get_by_role("link", name="Adapters").click()
    expect(page.get_by_role("article", name="house-style")).to_contain_text("+0.430")
    check("adapters")
    page.goto(f"{live.url}/#/ask")
    page.get_by_role("link", name="Ask", exact=True).click()
    page.goto(f"{live.url}/#/ask")
    page.get_by_role("button", name="Show me around").click()
    expect(page.locator(".tour")).to_be_visible()
    check("tour")
    assert check.faults == []


def long_work(live: Live) -> dict[str, int]:
    """Put finished and planned pieces of long work where the server would have; return their numbers."""
    runs, data_dir = live.service.workspace.store.runs, live.service.workspace.settings.data_dir
    training = runs.add("training", "operator", "house-style", "", {}, "queued").id
    gate = {"passed": False, "reasons": ["the score did not rise beyond chance"]}
    runs.end(training, "done", result={"plan": PLAN, "trained": {"gate": gate}})
    folder = RunFolder(data_dir, training)
    folder.tell(phase="training")
    for step in range(1, 301):
        folder.tell(
            step=step, steps=300, loss=0.2 + 2.4 / step**0.5 + 0.05 * math.sin(step), tokens_per_s=180, left_s=9
        )
        if step % 30 == 0:
            folder.tell(step=step, eval_loss=0.3 + 2.3 / step**0.5)
    planned = runs.add("training", "operator", "tickets", "", {}, "planned").id
    runs.end(planned, "planned", result={"plan": PLAN})
    failed = runs.add("training", "operator", "orders", "", {}, "queued").id
    runs.end(failed, "failed", failure="2 rows cannot be used:\n  train.jsonl, line 3: is not JSON")
    decision = runs.add("decision", "operator", "leave", "handbook", {}, "queued").id
    runs.end(decision, "done", result=DECISION)
    return {"training": training, "planned": planned, "failed": failed, "decision": decision}


@needs_axe
def test_no_page_of_long_work_has_a_fault_of_level_a_or_aa(live: Live, check: Checker) -> None:
    numbers, page = long_work(live), check.page
    page.goto(f"{live.url}/#/adapters/new")
    expect(page.get_by_label("Name of the adapter")).to_be_visible()
    expect(page.get_by_label("Recipe")).not_to_be_empty(timeout=60_000)
    page.get_by_text("More settings").click()
    check("training-form")
    for name in ("planned", "failed", "training"):
        page.goto(f"{live.url}/#/adapters/run-{numbers[name]}")
        expect(page.locator(".run [data-state]")).to_be_visible()
        if name == "training":
            page.get_by_text("As a table").click()
        check(f"run-{name}")
    page.goto(f"{live.url}/#/decide")
    expect(page.locator(".prior")).to_contain_text("Before measuring", timeout=60_000)
    check("decide")
    page.goto(f"{live.url}/#/decide/{numbers['decision']}")
    expect(page.get_by_role("region", name="Recommendation")).to_be_visible()
    check("decision")
    for scores in (False, True):
        body = {"collection": "handbook", "name": "questions", "text": QUESTIONS}
        asked = live.client.post("/api/question-sets", json=body).json()["id"]
        run = live.client.post("/api/evaluations", json={"set_id": asked, "answers": scores}).json()["id"]
        page.goto(f"{live.url}/#/evaluate/handbook:{run}")
        expect(page.locator(".run [data-state]")).to_have_text("done", timeout=60_000)
    expect(page.locator(".case")).to_have_count(1)
    check("evaluate")
    page.goto(f"{live.url}/#/people")
    expect(page.get_by_role("region", name="Storage and queue")).to_contain_text("Free on the disk")
    expect(page.get_by_role("region", name="Who used what").locator("tbody tr").first).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("null")
    check("people")
    assert check.faults == []


def test_page_is_small_and_its_libraries_are_as_they_came() -> None:
    web = Path(__file__).parents[2] / "rag" / "web"
    own = [path for path in web.iterdir() if path.suffix in (".js", ".css", ".html", ".svg")]
    assert sum(path.stat().st_size for path in own) <= MAX_PAGE_BYTES
    for path in own:
        if path.suffix == ".js" and path.name != "strings.js":  # that is a table of sentences
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 310, path.name
