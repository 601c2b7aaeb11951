"""A real browser on the real server; at the end nothing may have gone wrong in any page that was opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ScriptedGenerator
from tests.serving import REPLY, Live, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE = (1360, 860)
Page = Any  # playwright's, which is only there when it is installed

SCREENSHOTS = "HOMEGROUND_TEST_SCREENSHOTS"
"""Names a directory that the tests write pictures of the pages to; read before the tests' own settings are dropped."""

_SCREENSHOTS = os.environ.get(SCREENSHOTS)

# Violations are counted by a listener that is there before the page's first script, and read back as an attribute,
# because the page's policy forbids to evaluate strings in it.
WATCH = """
document.addEventListener("securitypolicyviolation", (event) => {
  document.documentElement.dataset.violation = `${event.violatedDirective} ${event.blockedURI}`;
});
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sync_api.expect.set_options(timeout=20_000)  # a busy machine is no fault of the page
    with sync_api.sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that test machines and containers rarely give.
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator([REPLY], adapters=("house-style",))


@pytest.fixture
def live(tmp_path: Path, generator: ScriptedGenerator) -> Iterator[Live]:
    with serving(tmp_path / "data", generator) as server:
        yield server


@pytest.fixture
def open_page(browser: Any, live: Live) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a signed-in page; at the end, nothing may have gone wrong in any of them."""
    contexts: list[Any] = []
    problems: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith(live.url):
            problems.append(f"foreign request: {request.url}")

    def note_console(message: Any) -> None:
        if message.type == "error" and "the server responded with a status of" not in message.text:
            problems.append(f"console: {message.text}")

    def open_one(size: tuple[int, int] = WIDE, *, sign_in: bool = True, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        contexts.append(context)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", note_request)
        page.on("console", note_console)
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("dialog", lambda _: problems.append("a native dialog"))
        page.goto(f"{live.url}/sign-in?token={live.tokens[-1]}" if sign_in else live.url)
        return page

    yield open_one
    for context in contexts:
        for page in context.pages:
            if violation := page.locator("html").get_attribute("data-violation"):
                problems.append(f"policy violation: {violation}")
        context.close()
    assert not problems


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Give a function that keeps a picture of a page, where the environment says so."""

    def take(page: Page, name: str) -> None:
        if _SCREENSHOTS:
            folder = Path(_SCREENSHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}.png")

    return take
