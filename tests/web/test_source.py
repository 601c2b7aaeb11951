"""The source beside the answer: a PDF file's own page with the quote marked, or the text where the file is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from tests.serving import Live

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

SENTENCE = "The muster point of the harbour office is the blue door beside the pier."


def write_pdf(path: Path, pages: int, with_sentence: int) -> None:
    canvas = Canvas(str(path), pagesize=A4)
    for number in range(1, pages + 1):
        canvas.drawString(72, 760, f"Page {number} tells of ropes, tides and paint number {number}.")
        if number == with_sentence:
            canvas.drawString(72, 600, SENTENCE[:40])
            canvas.drawString(72, 585, SENTENCE[40:])
        canvas.showPage()
    canvas.save()


@pytest.fixture
def manual(live: Live, tmp_path: Path) -> Path:
    folder = tmp_path / "manuals"
    folder.mkdir()
    write_pdf(folder / "manual.pdf", 200, 187)
    live.service.workspace.collection("manuals", create=True).add(folder)
    live.generator.replies = ["The muster point is the blue door beside the pier [1]."]
    return folder / "manual.pdf"


def ask_the_manual(page: Page) -> None:
    page.get_by_label("Collection", exact=True).select_option("manuals")
    page.get_by_label("Your question").fill("Where is the muster point of the harbour office?")
    page.keyboard.press("Enter")
    page.locator("button.marker").first.click()


def test_pdf_opens_at_its_page_with_the_quote_marked(
    open_page: Callable[..., Page], manual: Path, picture: Callable[[Page, str], None]
) -> None:
    assert manual.is_file()
    page = open_page()
    ask_the_manual(page)
    expect(page.locator(".pdf-mark").first).to_be_in_viewport()
    expect(page.locator(".pdf-page")).to_have_count(200)
    marked = page.locator(".pdf-page:has(.pdf-mark)")
    expect(marked).to_have_attribute("aria-label", "Page 187")
    expect(marked.locator("canvas")).to_be_visible()
    picture(page, "source-pdf")
    page.get_by_role("button", name="Text", exact=True).click()
    expect(page.locator(".source mark")).to_contain_text("The muster point")
    page.get_by_role("button", name="Pages", exact=True).click()
    expect(page.locator(".pdf-mark").first).to_be_in_viewport()


def test_changed_file_is_not_shown_for_what_was_read(open_page: Callable[..., Page], manual: Path, live: Live) -> None:
    write_pdf(manual, 3, 2)
    page = open_page()
    ask_the_manual(page)
    expect(page.locator(".source")).to_contain_text("the file has changed since it was indexed")
    expect(page.locator(".source mark")).to_contain_text("The muster point")
    (document,) = live.client.get("/api/documents", params={"collection": "manuals"}).json()["documents"]
    place = f"/api/documents/manuals/{document['id']}/file"
    assert live.client.get(place).status_code == 409
    manual.unlink()
    assert live.client.get(place).status_code == 404


def test_upload_is_shown_as_text_with_its_page(open_page: Callable[..., Page], live: Live, tmp_path: Path) -> None:
    write_pdf(tmp_path / "up.pdf", 3, 2)
    files = {"files": ("up.pdf", (tmp_path / "up.pdf").read_bytes())}
    assert live.client.post("/api/documents", data={"collection": "manuals"}, files=files).status_code == 200
    live.generator.replies = ["The muster point is the blue door beside the pier [1]."]
    page = open_page()
    ask_the_manual(page)
    expect(page.locator(".source mark")).to_contain_text("The muster point")
    expect(page.locator(".source")).to_contain_text("page 2")
    expect(page.locator(".switcher")).to_be_hidden()
