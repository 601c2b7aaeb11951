"""The page in a real browser, on the real server: ask, read the quote, add and delete documents, and nothing leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.prompt import REFUSAL
from tests.serving import BADGES, REPLY, Beat, Live, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any  # playwright's, which is only there when it is installed

QUESTION = "What does a lost badge cost?"
WIDE, NARROW = (1360, 860), (360, 740)


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_answer_streams_and_its_citation_opens_the_quote(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.gate = threading.Event()
    page = open_page()
    ask(page)
    answer = page.locator(".answer").first
    expect(answer.locator(".prose")).to_have_text("You")  # the first word is there before the second is made
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    live.generator.gate.set()
    expect(answer.locator(".prose")).to_have_text("You pay five pounds for a lost badge 1.")
    expect(page.locator(".timings")).to_contain_text("scripted · retrieval 0.")

    marker = page.get_by_role("button", name="Source 1, Badges", exact=True)
    marker.click()
    source = page.get_by_role("complementary", name="Badges")
    expect(source.locator("mark")).to_have_text(BADGES[10:69])
    expect(source.locator("mark")).to_be_in_viewport()
    expect(source.get_by_role("heading", name="Badges")).to_be_focused()
    expect(source.get_by_label("Text of the document")).to_contain_text("Bring an identity card.")
    expect(marker).to_have_attribute("aria-expanded", "true")
    assert "#/document/handbook/1?start=10&end=69" in page.url

    page.keyboard.press("Escape")
    expect(source).to_be_hidden()
    expect(marker).to_be_focused()
    page.locator(".card").click()
    expect(source).to_be_visible()
    page.go_back()
    expect(source).to_be_hidden()
    expect(answer.locator(".prose")).to_be_visible()


def test_question_goes_to_the_top_once_and_the_view_stays(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["word " * 400]
    page = open_page(reduced_motion="reduce")
    for number in range(1, 3):
        ask(page, f"Question {number}?")
        expect(page.locator(".foot")).to_have_count(number)
    question = page.get_by_role("heading", name="Question 2?")
    expect(question).to_be_in_viewport(ratio=1)
    box = question.bounding_box()
    assert box
    assert box["y"] < 120


def test_long_quote_is_found_in_a_long_document_behind_wide_characters(
    open_page: Callable[..., Page], live: Live
) -> None:
    sentence = "The muster point is the blue door 😀 beside the pier."
    text = "# Fire 😀\n\n" + "Walk, do not run. 中文 😀 " * 500 + f"\n\n{sentence} " + "Then wait. 😀 " * 500
    upload = live.client.post(
        "/api/documents", data={"collection": "fire"}, files={"files": ("fire.md", text.encode())}
    )
    assert upload.status_code == 200
    live.generator.replies = ["The muster point is the blue door beside the pier [1]."]
    page = open_page()
    page.get_by_label("Collection", exact=True).select_option("fire")
    ask(page, "Where is the muster point, the blue door?")
    page.locator("button.marker").first.click()
    expect(page.locator("mark")).to_have_text(sentence)
    expect(page.locator("mark")).to_be_in_viewport()
    page.get_by_role("button", name="Show what comes before").click()
    expect(page.locator("mark")).to_have_text(sentence)
    page.get_by_role("button", name="Show what comes after").click()
    expect(page.locator("mark")).to_have_text(sentence)


def test_abstention_is_told_and_shows_what_was_looked_at(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = [REFUSAL, "A plain answer."]
    page = open_page()
    ask(page, "Who may drive the badge van?")
    expect(page.get_by_role("heading", name="The documents don’t answer this")).to_be_visible()
    expect(page.locator(".abstained .card")).to_contain_text("A lost badge is replaced")
    page.locator(".abstained .card").click()
    expect(page.locator("mark")).to_contain_text("Bring an identity card.")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Ask without documents").click()
    expect(page.locator(".prose")).to_have_text("A plain answer.")
    assert "Sources:" not in live.generator.asked[-1].messages[-1].content


def test_choices_reach_the_server(open_page: Callable[..., Page], live: Live) -> None:
    page = open_page()
    page.get_by_label("Adapter").select_option("house-style")
    ask(page)
    expect(page.locator(".foot")).to_have_count(1)
    assert live.generator.asked[-1].adapter == "house-style"
    assert "Sources:" in live.generator.asked[-1].messages[-1].content
    page.get_by_label("Use documents").uncheck()
    ask(page, "And now without?")
    expect(page.locator(".foot")).to_have_count(2)
    assert live.generator.asked[-1].messages[-1].content == "And now without?"


def test_follow_up_goes_on_from_the_conversation(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["Five pounds [1].", REFUSAL, "At the front desk [1]."]
    page = open_page()
    for turn, question in enumerate(("What does a lost badge cost?", "And the king?", "And where is it?"), start=1):
        ask(page, question)
        expect(page.locator(".foot")).to_have_count(turn)
    turns = [message.content for message in live.generator.asked[-1].messages]
    assert turns[1].endswith("Question: What does a lost badge cost?")
    assert turns[2:] == ["Five pounds [1].", "Question: And where is it?"]  # what was refused is left out


def test_stop_ends_the_answer_and_frees_the_generator(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.replies = ["word " * 300, REPLY]
    live.generator.gate = Beat()  # half a minute for the whole answer
    page = open_page()
    ask(page)
    expect(page.locator(".prose")).to_contain_text("word")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. What had arrived is kept.")).to_be_visible()
    wait_until(lambda: live.generator.closed == 1)
    assert live.generator.steps < 300
    ask(page)
    expect(page.locator(".foot")).to_have_count(1)


def test_question_that_waits_says_how_many_are_before_it(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.gate = threading.Event()
    first, second = open_page(), open_page()
    ask(first)
    expect(first.locator(".prose")).to_have_text("You")
    ask(second)
    expect(second.get_by_text("Waiting: 1 question before yours.")).to_be_visible()
    live.generator.gate.set()
    expect(second.locator(".foot")).to_be_visible()


def test_error_is_shown_in_the_servers_words(open_page: Callable[..., Page], live: Live) -> None:
    live.generator.context_length = 60
    page = open_page()
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("the question needs")


def test_enter_that_composes_a_word_sends_nothing(open_page: Callable[..., Page]) -> None:
    page = open_page()
    box = page.get_by_label("Your question")
    box.fill("すし")
    box.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    box.press("Shift+Enter")
    expect(page.locator(".turn")).to_have_count(0)
    box.press("Enter")
    expect(page.locator(".foot")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator(".question")).to_have_text("すし")


def test_whole_way_works_with_the_keyboard_alone(open_page: Callable[..., Page]) -> None:
    page = open_page()
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.locator("button.marker:focus").count():
            break
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("button.marker:focus")).to_have_count(1)
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.locator(".tabs a[data-page=documents]:focus").count():
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Documents", exact=True)).to_be_focused()


HOSTILE = (
    "<img src=x onerror=alert(1)> <script>document.title='owned'</script> ![x](http://evil.example/x.png) "
    "[click](javascript:alert(1)) <svg/onload=alert(1)> [1] `<b>code</b>` **<i>bold</i>** [9] &lt;b&gt; ${1+1}"
)


def test_hostile_text_stays_text_wherever_it_stands(open_page: Callable[..., Page], live: Live) -> None:
    document = f"# Badge {HOSTILE}\n\nA lost badge costs {HOSTILE}.\n"
    files = {"files": ("<img src=x onerror=alert(1)>.md", document.encode())}
    assert live.client.post("/api/documents", data={"collection": "hostile"}, files=files).status_code == 200
    live.generator.replies = [HOSTILE]
    page = open_page()
    page.get_by_label("Collection", exact=True).select_option("hostile")
    ask(page, f"badge {HOSTILE}")
    expect(page.locator(".foot")).to_be_visible()
    prose = page.locator(".prose")
    expect(prose).to_contain_text("<img src=x onerror=alert(1)>")
    expect(prose).to_contain_text("[image: x]")
    expect(prose).to_contain_text("click (javascript:alert(1)")
    for tag in ("img", "script", "svg", "a", "b", "i", "iframe", "form"):
        assert prose.locator(tag).count() == 0, tag
    page.locator("button.marker").first.click()
    expect(page.locator("mark")).to_be_visible()
    page.goto(f"{live.url}/#/documents/hostile")
    expect(page.locator("td a")).to_contain_text("<svg/onload=alert(1)>")
    assert page.title() == "Documents – Homeground"


def test_files_are_added_and_each_failure_names_its_reason(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("link", name="Documents").click()
    expect(page.get_by_text("2 documents, 2 passages")).to_be_visible()
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(
        [
            {"name": "fire.md", "mimeType": "text/markdown", "buffer": b"# Fire\n\nWalk to the pier."},
            {"name": "plan.dwg", "mimeType": "image/vnd.dwg", "buffer": b"AC1032\x00\x00\x00\x01"},
        ]
    )
    expect(page.locator(".upload.done")).to_contain_text("Added, 1 passage")
    expect(page.locator(".upload.failed")).to_contain_text("is not a supported format: .dwg")
    expect(page.get_by_text("3 documents, 3 passages")).to_be_visible()
    page.get_by_role("button", name="Dismiss: plan.dwg").click()
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator(".upload")).to_have_count(0)

    page.get_by_role("link", name="Fire").click()
    expect(page.get_by_role("complementary", name="Fire")).to_contain_text("Walk to the pier.")
    page.keyboard.press("Escape")
    page.get_by_label("Search by name").fill("LEAVE")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Search by name").fill("nothing like it")
    expect(page.get_by_text("No document’s name contains “nothing like it”.")).to_be_visible()


def test_files_are_dropped(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("link", name="Documents").click()
    drop = page.locator(".drop")
    transfer = page.evaluate_handle(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["Dropped text."], "drop.txt"));
          return data;
        }"""
    )
    drop.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(drop).to_have_class("drop over")
    drop.dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator(".upload.done")).to_contain_text("drop.txt")
    expect(drop).to_have_class("drop")


def test_deletion_is_undone(open_page: Callable[..., Page], live: Live) -> None:
    page = open_page()
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("button", name="Delete Badges").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert live.client.get("/api/documents/handbook/1").status_code == 404
    assert live.client.post("/api/search", json={"question": "lost badge", "k": 9}).json()["hits"][0]["source"] != (
        "badges.md"
    )
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert live.client.post("/api/search", json={"question": "lost badge"}).json()["hits"][0]["source"] == "badges.md"


def test_collection_is_made_filled_and_deleted(open_page: Callable[..., Page], live: Live) -> None:
    page = open_page()
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("button", name="New collection").click()
    page.get_by_role("textbox", name="Name").fill("Not A Name")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("notes")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Collection", exact=True)).to_have_value("notes")
    expect(page.get_by_text("No documents yet. Drop files above to begin.")).to_be_visible()
    page.get_by_role("button", name="Delete collection").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    wait_until(
        lambda: [found["name"] for found in live.client.get("/api/collections").json()["collections"]] == ["handbook"]
    )


def test_empty_store_says_what_to_do(open_page: Callable[..., Page], live: Live) -> None:
    live.client.delete("/api/collections/handbook")
    page = open_page()
    expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
    expect(page.get_by_label("Use documents")).to_be_disabled()
    page.get_by_role("button", name="Add documents").click()
    expect(page.get_by_role("heading", name="Drop files or a folder here")).to_be_visible()
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(
        {"name": "a.md", "mimeType": "text/markdown", "buffer": b"# A\n\nText about badges."}
    )
    expect(page.locator(".upload.done")).to_be_visible()
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.get_by_label("Use documents")).to_be_checked()
    expect(page.get_by_text("Answers come from 1 document in “handbook”.")).to_be_visible()


def test_nobody_is_shown_how_to_sign_in_and_a_used_link_says_so(open_page: Callable[..., Page], live: Live) -> None:
    used = live.tokens[-1]
    open_page()
    stranger = open_page(sign_in=False)
    expect(stranger.get_by_role("heading", name="You are not signed in")).to_be_visible()
    stranger.goto(f"{live.url}/sign-in?token={used}")
    expect(stranger.get_by_text("This sign-in link is wrong or was used already.")).to_be_visible()


def test_sign_out_closes_the_page(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def test_page_waits_for_the_models_and_goes_on_by_itself(open_page: Callable[..., Page], live: Live) -> None:
    live.service._loaded.clear()
    page = open_page()
    expect(page.get_by_role("heading", name="Loading the models…")).to_be_visible()
    live.service._loaded.set()
    expect(page.get_by_label("Your question")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, (900, 800), WIDE])
def test_nothing_scrolls_sideways_and_nothing_is_cut(
    open_page: Callable[..., Page], live: Live, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    page = open_page(size, color_scheme=scheme)
    width = size[0]

    def check(name: str) -> None:
        page.screenshot(path=tmp_path / f"{scheme}-{width}-{name}.png")
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, name

    check("empty")
    ask(page)
    expect(page.locator(".foot")).to_be_visible()
    check("answer")
    page.locator("button.marker").first.click()
    expect(page.locator("mark")).to_be_in_viewport()
    check("source")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    check("documents")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_page: Callable[..., Page], live: Live, scheme: str) -> None:
    live.generator.replies = ["Bold **words** and `code`, fully unbacked.", REPLY, REFUSAL]
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    for number in range(1, 4):
        ask(page)
        expect(page.locator(".foot")).to_have_count(number)
    page.locator("button.marker").first.click()
    expect(page.locator("mark")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.evaluate(CONTRASTS) == []


# WCAG 2.2, 1.4.3: relative luminance and contrast ratio of every visible text with the colour behind it.
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(".visually-hidden, .skip, :disabled")) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${node.data.trim().slice(0, 40)} (${element.className}): ${ratio.toFixed(2)}`);
  }
  return low;
}"""


def test_every_control_has_a_name(open_page: Callable[..., Page]) -> None:
    page = open_page()
    ask(page)
    expect(page.locator(".foot")).to_be_visible()
    page.locator("button.marker").first.click()
    expect(page.locator("mark")).to_be_visible()
    for address in (None, "#/documents"):
        if address:
            page.goto(page.url.split("#")[0] + address)
            expect(page.locator("tbody tr")).to_have_count(2)
        for role in ("button", "combobox", "textbox", "checkbox", "searchbox", "link"):
            for control in page.get_by_role(role).all():
                if control.is_visible():
                    snapshot = control.aria_snapshot()
                    assert '"' in snapshot, snapshot


def test_skip_link_leads_past_the_header_and_keeps_the_page(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("heading", name="Documents", exact=True)).to_be_visible()
