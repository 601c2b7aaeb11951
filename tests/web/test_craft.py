"""Every page in both themes, wide and narrow: no fault that axe-core finds, and its picture where one is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.prompt import REFUSAL
from scripts.vendor import FOR_TESTS
from tests.fakes import write_tiny_adapter
from tests.serving import Live
from tests.training import tiny_model

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

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


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core here: python -m scripts.vendor axe-core")
@pytest.mark.parametrize("size", [(1360, 860), (390, 800)], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_fault_of_level_a_or_aa(
    open_page: Callable[..., Page],
    live: Live,
    adapters: Path,
    picture: Callable[[Page, str], None],
    size: tuple[int, int],
    scheme: str,
) -> None:
    assert adapters.is_dir()
    live.generator.replies = [ANSWER, REFUSAL, "Fully unbacked words without any marker.", ANSWER, ANSWER, ANSWER]
    # The page's policy lets nothing in, so the checker runs in a context without it.
    page = open_page(size, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    faults: list[str] = []

    def check(name: str) -> None:
        picture(page, f"{name}-{'wide' if size[0] > 720 else 'narrow'}-{scheme}")
        page.add_script_tag(path=AXE)
        # What lies half below the bars that stay in view would count as too small to hit; it can be scrolled out.
        style = page.add_style_tag(content=".top, .composer { position: static !important; }")
        faults.extend(f"{name}: {fault}" for fault in page.evaluate(RUN))
        style.evaluate("(element) => element.remove()")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0], name

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
    expect(page.get_by_role("heading", name="house-style")).to_be_visible()
    expect(page.locator(".adapter")).to_contain_text("+0.430")
    check("adapters")
    page.goto(f"{live.url}/#/ask")
    page.get_by_role("link", name="Ask", exact=True).click()
    page.goto(f"{live.url}/#/ask")
    page.get_by_role("button", name="Show me around").click()
    expect(page.locator(".tour")).to_be_visible()
    check("tour")
    assert faults == []


def test_page_is_small_and_its_libraries_are_as_they_came() -> None:
    web = Path(__file__).parents[2] / "rag" / "web"
    own = [path for path in web.iterdir() if path.suffix in (".js", ".css", ".html", ".svg")]
    assert sum(path.stat().st_size for path in own) <= MAX_PAGE_BYTES
    for path in own:
        if path.suffix == ".js" and path.name != "strings.js":  # that is a table of sentences
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 310, path.name
