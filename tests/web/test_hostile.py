"""Hostile text stays text: no script of it runs, and no request leaves, wherever it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.serving import Live
from tests.web.payloads import PAYLOADS

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

CANARY = "globalThis.owned = () => { document.documentElement.dataset.owned = 'yes'; };"
ALLOWED = {
    "BLOCKQUOTE", "BUTTON", "CODE", "DIV", "EM", "HR", "LI", "OL", "P", "PRE", "SPAN", "STRONG", "TABLE", "TBODY", "TD",
    "TH", "THEAD", "TR", "UL",
}  # fmt: skip
ATTRIBUTES = {
    "class", "tabindex", "value", "scope", "type", "data-place", "aria-expanded", "aria-label", "title", "dir",
}  # fmt: skip
FOUND = """() => {
  const found = { tags: [], attributes: [] };
  for (const element of document.querySelectorAll(".prose *")) {
    found.tags.push(element.tagName);
    found.attributes.push(...element.getAttributeNames());
  }
  return { tags: [...new Set(found.tags)], attributes: [...new Set(found.attributes)] };
}"""


def watched(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.context.add_init_script(CANARY)
    page.reload()
    return page


def unharmed(page: Page) -> None:
    assert page.locator("html").get_attribute("data-owned") is None
    assert page.locator("iframe, object, embed, base, form[action], link[href*=evil], a[href*=evil]").count() == 0
    assert page.locator("img").count() == 1  # the page's own mark


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_be_visible()


def test_there_are_at_least_fifty_payloads() -> None:
    assert len(set(PAYLOADS)) >= 50


@pytest.mark.parametrize("part", range(4))
def test_answers_and_questions_stay_text(open_page: Callable[..., Page], live: Live, part: int) -> None:
    chosen = PAYLOADS[part::4]
    live.generator.replies = ["A lost badge costs five pounds [1].\n\n" + "\n\n".join(chosen)]
    page = watched(open_page)
    ask(page, f"What does a lost badge cost? {chosen[0]}")
    found = page.evaluate(FOUND)
    assert set(found["tags"]) <= ALLOWED
    assert set(found["attributes"]) <= ATTRIBUTES
    page.get_by_role("button", name="How this came about").click()
    expect(page.locator(".facts")).to_be_visible()
    page.reload()
    expect(page.locator(".foot")).to_be_visible()
    unharmed(page)


def test_documents_and_their_names_stay_text(open_page: Callable[..., Page], live: Live) -> None:
    names = [payload.replace("/", "_").replace("\n", " ") for payload in PAYLOADS[:12]]
    for name in names:
        text = "# Badge\n\nA lost badge costs:\n\n" + "\n\n".join(PAYLOADS)
        files = {"files": (f"{name}.md", text.encode())}
        live.client.post("/api/documents", data={"collection": "hostile"}, files=files)
    live.generator.replies = ["A lost badge costs something [1]."]
    page = watched(open_page)
    page.get_by_label("Collection", exact=True).select_option("hostile")
    ask(page, "What does a lost badge cost?")
    page.locator("button.marker").first.click()
    expect(page.locator(".source mark")).to_be_visible()
    for more in page.get_by_role("button", name="Show what comes").all():
        if more.is_visible():
            more.click()
    unharmed(page)
    page.goto(f"{live.url}/#/documents/hostile")
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Delete").first.click()
    expect(page.locator(".undo")).to_be_visible()
    unharmed(page)


def test_titles_of_conversations_and_comparisons_stay_text(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = [PAYLOADS[1], PAYLOADS[35]]
    page = watched(open_page)
    ask(page, PAYLOADS[0] + PAYLOADS[2])
    expect(page.locator(".conversations li")).to_contain_text("<script>owned()</script>")
    page.goto(f"{live.url}/#/compare")
    page.get_by_role("heading", name="Compare").wait_for()  # the page before it has a box of that name, too
    page.get_by_label("Your question").fill(PAYLOADS[1])
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("Why?").fill(PAYLOADS[3])
    page.get_by_role("button", name="A is best").click()
    expect(page.get_by_text("Your vote is kept.")).to_be_visible()
    page.get_by_label("Mark what differs from A").check()
    unharmed(page)
