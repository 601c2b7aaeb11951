"""A server that is killed in mid-answer and started again on the same data and port; what had arrived is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag.access.passwords import hashed
from rag.store import Store

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
expect = sync_api.expect
Page = Any

ROOT = Path(__file__).parents[2]
PASSWORD = "a long password"


@contextmanager
def program(directory: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server as a program that answers slowly; give it and its sign-in link."""
    command = [sys.executable, "-m", "tests.serving", str(directory), "--port", str(port), "--repeat", "30"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as server:
        assert server.stdout is not None
        try:
            yield server, next(line for line in server.stdout if "Sign in: " in line).split()[-1]
        finally:
            server.kill()


def ask_and_lose_the_server(page: Page, server: subprocess.Popen[str]) -> None:
    page.get_by_label("Your question").fill("Count for a while.")
    page.keyboard.press("Enter")
    expect(page.locator(".prose")).to_contain_text("one two three four five six seven eight nine ten. one two")
    server.send_signal(signal.SIGKILL)
    server.wait()
    expect(page.get_by_text("Not connected.")).to_be_visible()
    expect(page.locator(".prose")).to_contain_text("one two three")


def test_answer_that_a_restart_cut_off_is_kept_and_said_to_be_cut_off(
    browser: Any, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
    with program(tmp_path / "data") as (server, link):
        page.goto(link)
        ask_and_lose_the_server(page, server)
        picture(page, "restart-lost")
    port = int(link.split(":")[2].split("/")[0])
    with program(tmp_path / "data", port) as (_, link):
        expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
        page.goto(link)
        page.get_by_role("navigation", name="Conversations").get_by_role("link", name="Count for a while.").click()
        expect(page.get_by_text("The server stopped in mid-answer. What had arrived is kept")).to_be_visible()
        expect(page.locator(".prose")).to_contain_text("one two three four five")
        picture(page, "restart-back")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".prose")).to_contain_text("one two")
        page.context.close()


def test_somebody_with_a_password_comes_back_to_the_same_conversation(browser: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    store.people.add_user("ann", hashed(PASSWORD), is_admin=False)
    store.close()
    page = browser.new_context().new_page()

    def sign_in() -> None:
        page.get_by_label("Name", exact=True).fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

    with program(tmp_path / "data") as (server, link):
        page.goto(link.split("/sign-in")[0])
        sign_in()
        ask_and_lose_the_server(page, server)
        address = page.url
    with program(tmp_path / "data", int(link.split(":")[2].split("/")[0])):
        sign_in()
        expect(page.get_by_text("The server stopped in mid-answer. What had arrived is kept")).to_be_visible()
        expect(page.locator(".prose")).to_contain_text("one two three four five")
        assert page.url == address
        page.context.close()
