"""
``python -m scripts.bench.plots RESULTS IMAGES``: how things grow, as SVG: documents, prompt, users.

RESULTS holds what ``python -m scripts.bench`` wrote, and any number of ``search-*.json`` of
``python -m scripts.bench.search --chunks N``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models import command

SIZE_INCHES = (5.4, 3.2)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    results: Annotated[Path, typer.Argument(exists=True, help="folder with the JSON files")],
    images: Annotated[Path, typer.Argument(help="folder for the SVG files")],
) -> None:
    """Draw what is there."""
    images.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "homeground", "svg.fonttype": "none", "axes.spines.top": False})
    searches = sorted((_read(path) for path in results.glob("search-*.json")), key=lambda told: told["chunks"])
    if searches:
        _save(_search(searches), images / "search-by-documents.svg")
    if (results / "lengths.json").is_file():
        _save(_lengths(_read(results / "lengths.json")), images / "first-token-by-prompt.svg")
    if (results / "server.json").is_file():
        _save(_users(_read(results / "server.json")), images / "throughput-by-users.svg")


def _read(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines["right"].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})


def _search(searches: list[dict[str, Any]]) -> Figure:
    figure, axes = _axes("chunks", "one search, ms")
    sizes = [told["chunks"] for told in searches]
    for share, words in (("1", "all readable"), ("0.1", "a tenth readable"), ("0.01", "a hundredth readable")):
        axes.plot(
            sizes, [told[f"readable {share}"]["p50_ms"] for told in searches], marker="o", label=f"{words}, median"
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _lengths(report: dict[str, Any]) -> Figure:
    figure, axes = _axes("prompt, tokens", "first token, s")
    for name, times in report["first_token_s"].items():
        axes.plot([int(tokens) for tokens in times], list(times.values()), marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(frameon=False)
    return figure


def _users(report: dict[str, Any]) -> Figure:
    figure, axes = _axes("users who wait at once", "tokens read and written, per s")
    crowds = report["users"]
    axes.plot([int(users) for users in crowds], [told["tokens_per_s"] for told in crowds.values()], marker="o")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    return figure


if __name__ == "__main__":
    command.run(app)
