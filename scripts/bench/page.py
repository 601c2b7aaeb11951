"""
``python -m scripts.bench.page``: what people feel of the page, in a real Chromium on the real server.

A generator that says given words at given times takes the model's place. Measured are the time from a first token's
making to the frame that shows it, the longest task of the page while 64 KiB of markdown stream and somebody types, the
first paint (of a browser that has just been started and follows the link to sign in, of one that runs and has never
seen the page, and of one that has), and what the page weighs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from models import command
from models.base import InputError, Message, SamplingParams, Token, TokenStream

WEB = Path(__file__).resolve().parents[2] / "rag" / "web"
OWN = (".js", ".css", ".html", ".svg")
KEY = "bench-key-of-the-page-measurement"
PIECE = "A **bold** claim with `code`, and [a link](https://example.com/x) in a sentence of some length.\n\n"
TABLE = "| what | how much |\n|---|---|\n| badge | five pounds |\n| locker | nothing |\n\n- one\n- two\n\n"
STREAMED_BYTES = 64 * 1024
VIEWPORT: Any = {"width": 1360, "height": 860}
PAINTS = 5
SHORT = "The first word and some more."

# The first text in an answer, two frames later; and every task of more than 50 ms, which is what the browser tells of.
WATCH = """
window.figures = { shown: [], tasks: [] };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) figures.tasks.push([entry.startTime, entry.duration]);
}).observe({ type: "longtask", buffered: true });
const seen = new WeakSet();
new MutationObserver(() => {
  for (const prose of document.querySelectorAll(".prose")) {
    if (seen.has(prose) || !prose.textContent.trim()) continue;
    seen.add(prose);
    requestAnimationFrame(() => requestAnimationFrame(() =>
      figures.shown.push(performance.timeOrigin + performance.now())));
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass
class Scripted:
    """
    Says what it is told, a piece every ``every_s`` seconds, and remembers when its first pieces were made.

    Attributes:
        text: what it says.
        every_s: seconds between two pieces.
        first: when each answer's first piece was made, seconds since 1970.
    """

    text: str = SHORT
    every_s: float = 0.02
    first: list[float] = field(default_factory=list)
    name: str = "scripted"
    engine: str = "script"
    places: int = 1
    context_length: int = 1_000_000
    adapters: tuple[str, ...] = ()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count characters."""
        return sum(len(message.content) for message in messages)

    def forget(self) -> None:
        """Nothing is remembered."""

    def stream(
        self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None, scope: str | None = None
    ) -> TokenStream:
        """Say it."""
        time.sleep(0.2)  # the page shows that it waits, as it does before a model's first word
        pieces = [self.text[at : at + 16] for at in range(0, len(self.text), 16)]
        for number, piece in enumerate(pieces):
            if number == 0:
                self.first.append(time.time())
            yield Token(number, piece, 0.0, "stop" if number == len(pieces) - 1 else None)
            time.sleep(self.every_s)


@contextmanager
def serving(directory: Path, generator: Scripted) -> Iterator[str]:
    """Run the application in a thread; give the link that signs in."""
    from rag.access import Access
    from rag.config import load
    from rag.serve import create_app
    from rag.workspace import Workspace

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = load(data_dir=directory, environment={}, server={"port": port}, answer={"max_tokens": 8192})
        with Workspace(settings, generator=generator) as workspace:
            tokens: list[str] = []
            access = Access(KEY, workspace.store.people, on_token=tokens.append)
            access.issue_token()
            options: dict[str, Any] = {"log_config": None, "access_log": False}
            server = uvicorn.Server(uvicorn.Config(create_app(workspace, access), http="h11", ws="none", **options))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield f"http://127.0.0.1:{port}/sign-in?token={tokens[-1]}"
            finally:
                server.should_exit = True
                thread.join()


def ask(page: Any, number: int) -> None:  # noqa: ANN401 - playwright's
    """Ask, and wait until the answer is complete."""
    page.get_by_label("Your question").fill("What is said?")
    page.keyboard.press("Enter")
    page.locator(".foot").nth(number).wait_for(timeout=300_000)


def measured(page: Any, generator: Scripted, rounds: int) -> dict[str, Any]:  # noqa: ANN401
    """Return the figures of a page that is signed in."""
    for number in range(rounds):
        ask(page, number)
    shown = page.evaluate("() => figures.shown")
    lag = sorted(1000 * (at / 1000 - made) for made, at in zip(generator.first, shown, strict=True))
    generator.text = (PIECE * 6 + TABLE) * (STREAMED_BYTES // len(PIECE * 6 + TABLE) + 1)
    generator.every_s = 0.005
    begun = page.evaluate("() => performance.now()")
    page.get_by_label("Your question").fill("Say much.")
    page.keyboard.press("Enter")
    while page.locator(".foot").count() <= rounds:
        page.get_by_label("Your question").press_sequentially("typing while it streams ", delay=30)
    tasks = [length for at, length in page.evaluate("() => figures.tasks") if at >= begun]
    return {
        "first_token_visible_ms": {"p50": statistics.median(lag), "max": lag[-1], "answers": rounds},
        "longest_task_ms": max(tasks, default=None),
        "tasks_over_50_ms": len(tasks),
        "streamed_bytes": len(generator.text),
    }


def painted(page: Any) -> float:  # noqa: ANN401
    """Return when a page first showed something, in milliseconds since its address was asked for."""
    page.get_by_label("Your question").wait_for(timeout=120_000)
    return float(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))


def later_paints(browser: Any, link: str, cookies: Any) -> dict[str, float]:  # noqa: ANN401
    """Return the medians of first paints of a browser that runs: of the first visit, and of one more."""
    new, again = [], []
    for _ in range(PAINTS):
        context = browser.new_context(viewport=VIEWPORT)
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(link.split("/sign-in")[0])
        new.append(painted(page))
        page.reload()
        again.append(painted(page))
        context.close()
    return {"first_visit": statistics.median(new), "next_visit": statistics.median(again)}


def weights() -> dict[str, int]:
    """Return the bytes of the page's own files, by kind, and of them all; PDF.js is not among them."""
    files = [path for path in WEB.iterdir() if path.suffix in OWN]
    by_kind = {kind[1:]: sum(path.stat().st_size for path in files if path.suffix == kind) for kind in OWN}
    return {**by_kind, "all": sum(by_kind.values())}


@app.command()
def main(rounds: Annotated[int, typer.Option(min=1, help="answers whose first token is timed")] = 20) -> None:
    """Measure the page and print one JSON object."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise InputError("no Chromium was found; install it, for example with `apt-get install chromium`.")
    generator = Scripted()
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch), generator) as link, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport=VIEWPORT)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(link)
        paints = {"fresh_browser": painted(page)} | later_paints(browser, link, context.cookies())
        figures = measured(page, generator, rounds)
        version = browser.version
        browser.close()
    load = os.getloadavg()[0]
    found = {
        **figures,
        "first_paint_ms": paints,
        "page_bytes": weights(),
        "chromium": version,
        "load": load,
        "cores": os.cpu_count(),
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    command.run(app)
