"""Comparing, adapters, many documents and the tour, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.types import Document
from tests.fakes import ScriptedGenerator
from tests.serving import REPLY, Beat, Live

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

QUESTION = "What does a lost badge cost?"


def test_arms_are_compared_voted_on_and_exported(
    open_page: Callable[..., Page], live: Live, picture: Callable[[Page, str], None]
) -> None:
    live.generator.replies = ["Nothing at all.", REPLY, "You pay ten pounds for a lost badge [1]."]
    page = open_page()
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".arm")).to_have_count(3)
    page.get_by_role("button", name="Add another").click()
    page.get_by_role("button", name="Remove way 4").click()
    page.get_by_label("Your question").fill(QUESTION)
    page.get_by_role("button", name="Compare").click()
    arms = page.locator(".result-arm")
    expect(arms).to_have_count(3)
    expect(page.locator(".vote")).to_be_visible()
    expect(arms.nth(1)).to_contain_text("You pay five pounds")
    expect(arms.nth(1)).to_contain_text("tokens")
    assert live.generator.asked[1].adapter is None
    assert live.generator.asked[2].adapter == "house-style"
    arms.nth(1).locator("button.marker").first.click()
    expect(page.locator(".source mark")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Mark what differs from A").check()
    expect(arms.nth(1).locator("mark").first).to_contain_text("You pay five pounds")
    page.get_by_label("Mark what differs from A").uncheck()
    page.get_by_label("Why?").fill("It has a source.")
    page.get_by_role("button", name="B is best").click()
    expect(page.get_by_text("Your vote is kept.")).to_be_visible()
    picture(page, "compare")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export votes").click()
    (line,) = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert (row["question"], row["answers"], row["reason"]) == (QUESTION, [REPLY], "It has a source.")
    page.reload()
    page.locator(".earlier").get_by_role("link", name=QUESTION).click()
    expect(page.get_by_role("button", name="B is best")).to_have_attribute("aria-pressed", "true")


def test_comparison_has_an_address_survives_a_reload_and_can_be_stopped(
    open_page: Callable[..., Page], live: Live
) -> None:
    live.generator.replies = ["one two three four five six seven eight nine ten. " * 40]
    live.generator.gate = Beat()
    page = open_page()
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".arm")).to_have_count(3)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".result-arm").first).to_contain_text("two")
    page.reload()
    expect(page.locator(".result-arm").first).to_contain_text("one two")
    expect(page.locator(".earlier li")).to_have_count(1)
    page.locator(".result").get_by_role("button", name="Stop").click()
    expect(page.locator(".vote")).to_be_visible()
    expect(page.locator(".result").get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.locator(".ending")).to_have_count(3)


def test_ways_to_compare_are_those_that_the_server_has_now(
    open_page: Callable[..., Page], live: Live, generator: ScriptedGenerator
) -> None:
    live.client.delete("/api/collections/handbook").raise_for_status()
    generator.adapters = ()
    page = open_page()
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".arm")).to_have_count(2)
    expect(page.get_by_label("Documents of way 1").locator("option")).to_have_count(1)
    live.client.post("/api/sample").raise_for_status()
    generator.adapters = ("house-style",)
    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_label("Adapter of way 2")).to_be_visible()
    expect(page.get_by_label("Documents of way 2")).to_have_value("sample-handbook")


def test_page_whose_parts_are_gone_is_loaded_anew(open_page: Callable[..., Page]) -> None:
    """An old page on a server that was updated meanwhile asks for files of a version that is no more."""
    page = open_page()
    expect(page.get_by_label("Your question")).to_be_visible()
    page.evaluate("() => { window.isOld = true; }")
    page.route("**/compare.js", lambda route: route.fulfill(status=404), times=1)
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("button", name="Compare")).to_be_visible()
    assert page.evaluate("() => window.isOld") is None


def test_two_thousand_documents_come_a_page_at_a_time(open_page: Callable[..., Page], live: Live) -> None:
    many = live.service.workspace.collection("many", create=True)
    many.add_documents(Document(f"file-{number:04}.md", f"Text {number}.", f"File {number}") for number in range(2000))
    page = open_page()
    page.goto(f"{live.url}/#/documents/many")
    expect(page.locator("tbody tr")).to_have_count(100)
    expect(page.get_by_text("2,000 documents, 2,000 passages")).to_be_visible()
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(page.locator("tbody tr").nth(150)).to_be_attached()
    page.get_by_label("Search by name").fill("File 1999")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_documents_are_filtered_and_the_last_sync_is_told(
    open_page: Callable[..., Page], live: Live, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("one.md", "two.txt", "three.md"):
        (folder / name).write_text(f"# {name}\n\nSome text of {name}.", encoding="utf-8")
    synced = live.service.workspace.collection("synced", create=True)
    synced.add(folder, sync=True)
    (folder / "one.md").write_text("# one\n\nAnother text.", encoding="utf-8")
    (folder / "two.txt").unlink()
    (folder / "four.html").write_text("<p>Fourth text.</p>", encoding="utf-8")
    synced.add(folder, sync=True)
    page = open_page()
    page.goto(f"{live.url}/#/documents/synced")
    notice = page.locator(".sync")
    expect(notice).to_contain_text("1 new, 1 changed, 1 gone")
    notice.locator("summary").click()
    expect(notice).to_contain_text("two.txt")
    picture(page, "documents")
    page.get_by_label("Show type").select_option("text/html")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_tour_leads_through_the_sample_handbook(open_page: Callable[..., Page], live: Live) -> None:
    page = open_page()
    page.get_by_role("button", name="Show me around").click()
    tour = page.get_by_role("dialog", name="Bring documents in")
    expect(tour).to_be_visible()
    page.get_by_role("button", name="Use the sample handbook").click()
    expect(page.get_by_role("heading", name="Ask in your own words")).to_be_visible()
    page.get_by_role("button", name="How many paid days").click()
    expect(page.get_by_label("Collection")).to_have_value("sample-handbook")
    page.locator("button.send").click()
    expect(page.locator(".prose button.marker").first).to_be_visible()
    for title in ("Check every sentence", "Look behind an answer", "Compare before you decide"):
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".tour")).to_have_count(0)
    names = [one["name"] for one in live.client.get("/api/collections").json()["collections"]]
    assert "sample-handbook" in names


def test_theme_is_chosen_and_kept(open_page: Callable[..., Page]) -> None:
    page = open_page(color_scheme="light")
    button = page.get_by_role("button", name="Colours: as the system")
    button.click()
    page.get_by_role("button", name="Colours: light").click()
    background = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(20, 23, 26)"
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert page.evaluate(background) == "rgb(20, 23, 26)"
