"""Conversations in a real browser: kept, searched, changed; turns that outlive a reload and a lost server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rag.api.turns import Turns
from tests.serving import Beat, Live, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

QUESTION = "What does a lost badge cost?"
MIXED = (
    "You pay five pounds for a lost badge 😀 [1]. Bananas are **rich in** potassium and grow tall.\n\n"
    "| What | Cost |\n|---|---|\n| Badge | five pounds [1] |\n\n1. first\n   - nested\n2. second\n\n```\na < b\n```\n"
)


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_sentences_lead_to_their_source_or_say_that_there_is_none(
    open_page: Callable[..., Page], live: Live, picture: Callable[[Page, str], None]
) -> None:
    live.generator.replies = [MIXED]
    page = open_page()
    ask(page)
    expect(page.locator(".foot")).to_be_visible()
    prose = page.locator(".prose")
    expect(prose.locator(".unsupported").first).to_have_text("Bananas are ")
    expect(prose.locator("p").first).to_contain_text("no source")
    expect(page.locator(".counts")).to_contain_text("2 of 3 sentences have a source")
    expect(prose.locator("td").last).to_contain_text("five pounds")
    expect(prose.locator("ol > li")).to_have_count(2)
    expect(prose.locator("ol ul > li")).to_have_text("nested")
    expect(prose.locator("pre")).to_have_text("a < b")
    prose.locator("button.marker").first.click()
    expect(page.locator(".source mark")).to_contain_text("A lost badge is replaced")
    picture(page, "ask-source")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="How this came about").click()
    insight = page.locator(".insight")
    expect(insight.locator("tbody tr")).to_have_count(1)
    expect(insight.locator("pre").last).to_contain_text(f"Question: {QUESTION}")
    expect(insight).to_contain_text("Retrieval")


def test_answer_without_markers_gets_computed_ones(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["A lost badge is replaced at the front desk for five pounds."]
    page = open_page()
    ask(page)
    marker = page.locator(".prose button.marker")
    expect(marker).to_have_class("marker computed")
    marker.click()
    expect(page.locator(".source mark")).to_contain_text("five pounds")


def test_turn_outlives_a_reload(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["one two three four five six seven eight nine ten. " * 15]
    live.generator.gate = Beat()
    page = open_page()
    ask(page)
    expect(page.locator(".prose")).to_contain_text("two")
    address = page.url
    page.reload()
    expect(page.locator(".prose")).to_contain_text("one two three")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator(".foot")).to_be_visible()
    assert page.url == address
    assert len(live.generator.asked) == 1


def test_turn_ends_when_nobody_comes_back(open_page: Callable[..., Page], live: Live) -> None:
    turns: Turns = live.app.state.turns
    turns.linger_s = 0.5
    live.generator.replies = ["word " * 500]
    live.generator.gate = Beat()
    page = open_page()
    ask(page)
    expect(page.locator(".prose")).to_contain_text("word")
    address = page.url
    page.goto("about:blank")
    wait_until(lambda: live.generator.closed == 1)
    page.goto(address)
    expect(page.locator(".ending")).to_contain_text("Ended, because this page was closed meanwhile.")


def test_lost_connection_is_told_and_caught_up(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.gate = threading.Event()
    page = open_page()
    ask(page)
    expect(page.locator(".prose")).to_have_text("You")
    page.route("**/api/events*", lambda route: route.abort())
    page.get_by_label("Use documents").uncheck()
    page.context.set_offline(True)
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    page.context.set_offline(False)
    page.unroute("**/api/events*")
    live.generator.gate.set()
    expect(page.locator(".foot")).to_be_visible()
    expect(page.locator(".prose")).to_contain_text("You pay five pounds for a lost badge")


def test_question_is_edited_asked_again_and_copied(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["First [1].", "Second [1].", "Third [1].", "Fourth [1]."]
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    ask(page)
    expect(page.locator(".foot")).to_have_count(1)
    ask(page, "And where?")
    expect(page.locator(".foot")).to_have_count(2)
    page.get_by_role("button", name="Try again").last.click()
    expect(page.locator(".prose").last).to_contain_text("Third")
    expect(page.locator(".turn")).to_have_count(2)
    page.get_by_role("button", name="Edit the question").first.click()
    box = page.get_by_role("textbox", name="Edit the question")
    box.press("Escape")
    page.get_by_role("button", name="Edit the question").first.click()
    box.fill("What does a new badge cost?")
    box.press("Enter")
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator(".prose")).to_contain_text("Fourth")
    expect(page.locator(".question")).to_have_text("What does a new badge cost?")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("Fourth [1].\n[1] badges.md: “")


def test_conversations_are_found_renamed_and_deleted(
    open_page: Callable[..., Page], live: Live, picture: Callable[[Page, str], None]
) -> None:
    page = open_page()
    for number, question in enumerate((QUESTION, "How long is annual leave?"), start=1):
        page.get_by_role("link", name="New conversation").click()
        ask(page, question)
        expect(page.locator(".foot")).to_have_count(1)
        expect(page.locator(".conversations li")).to_have_count(number)
    conversations = page.get_by_role("navigation", name="Conversations")
    conversations.get_by_role("link", name=QUESTION).click()
    expect(page.locator(".question")).to_have_text(QUESTION)
    picture(page, "ask-answer")
    page.reload()
    expect(page.locator(".question")).to_have_text(QUESTION)
    page.get_by_label("Search conversations").fill("ANNUAL")
    expect(page.locator(".conversations li")).to_have_count(1)
    page.get_by_label("Search conversations").fill("")
    expect(page.locator(".conversations li")).to_have_count(2)
    page.get_by_role("button", name=f"Rename {QUESTION}").focus()
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Title").fill("Badges")
    page.get_by_role("button", name="Save").click()
    expect(conversations.get_by_role("link", name="Badges")).to_be_visible()
    page.get_by_role("button", name="Delete Badges").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".conversations li")).to_have_count(1)
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()


def test_narrow_screen_hides_the_conversations_behind_a_button(open_page: Callable[..., Page]) -> None:
    page = open_page((390, 800))
    conversations = page.get_by_role("navigation", name="Conversations")
    expect(conversations).to_be_hidden()
    page.get_by_role("button", name="Conversations").click()
    expect(conversations).to_be_visible()
    ask(page)
    expect(page.locator(".foot")).to_be_visible()
    expect(conversations).to_be_hidden()
    toggle = page.get_by_role("button", name="Conversations")
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(conversations).to_be_hidden()
    expect(toggle).to_be_focused()
    toggle.click()
    page.mouse.click(380, 600)
    expect(conversations).to_be_hidden()
    toggle.click()
    conversations.get_by_role("link", name=QUESTION).click()
    expect(conversations).to_be_hidden()


def test_list_that_grows_stays_one_list_and_is_not_doubled_when_stopped(
    open_page: Callable[..., Page], live: Live
) -> None:
    live.generator.replies = ["1. Alpha\n2. Beta\n3. Gamma\n\nThat is " + "all " * 400]
    live.generator.gate = Beat(0.05)
    page = open_page()
    ask(page)
    prose = page.locator(".prose")
    expect(prose).to_contain_text("all all")
    assert prose.locator("ol").count() == 1
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".ending")).to_be_visible()
    expect(prose.locator("li")).to_have_text(["Alpha", "Beta", "Gamma"])
    expect(prose.locator("p")).to_have_count(1)


def test_answer_in_the_middle_is_made_again_only_after_asking(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["First.", "Second.", "Third."]
    page = open_page()
    for number in (1, 2):
        ask(page)
        expect(page.locator(".foot")).to_have_count(number)
    page.get_by_role("button", name="Try again").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The question after it goes, with its answer.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".turn")).to_have_count(2)
    page.get_by_role("button", name="Try again").first.click()
    dialog.get_by_role("button", name="Ask again").click()
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator(".prose")).to_contain_text("Third.")


def test_escape_on_another_page_leaves_the_answer_alone(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["one two three four five six seven eight nine ten. " * 3]
    live.generator.gate = Beat()
    page = open_page()
    ask(page)
    expect(page.locator(".prose")).to_contain_text("two")
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("searchbox").first.press("Escape")
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.locator(".foot")).to_be_visible()
    assert live.generator.closed == 0


def test_closing_a_source_leads_back_to_where_it_was_opened(open_page: Callable[..., Page]) -> None:
    page = open_page()
    for number in (1, 2):
        ask(page)
        expect(page.locator(".foot")).to_have_count(number)
    page.locator("button.marker").first.click()
    expect(page.locator(".source mark")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("button.marker").first).to_be_focused()
    page.get_by_role("button", name="How this came about").last.click()
    passage = page.locator(".insight a").first
    passage.click()
    expect(page.locator(".source")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".source")).to_be_hidden()
    expect(passage).to_be_focused()
