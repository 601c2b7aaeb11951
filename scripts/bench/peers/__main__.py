"""``python -m scripts.bench.peers retrieval|ingest``: every system in turn, one JSON object about all of them."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from models.store import locate
from rag.config import Settings
from rag.evaluate.dataset import Dataset, read_dataset
from rag.evaluate.retrieval import means, score
from scripts.bench.datasets import data_dir
from scripts.bench.options import PeersPython
from scripts.bench.peers.contract import Corpus, Text
from scripts.bench.peers.folder import make_folder
from scripts.bench.peers.processes import OURS, Outcome, System, run

RATES = ("chunks", "characters", "tokens_read")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Systems = Annotated[list[System], typer.Option("--system", help="only these")]


@app.command()
def retrieval(
    datasets: Annotated[list[str], typer.Argument(help="folders of the evaluation data")],
    python: PeersPython,
    systems: Systems = list(System),  # noqa: B006 - typer copies it
    kept: Annotated[
        Path | None, typer.Option("--keep", help="where the peers' rankings are kept and found again")
    ] = None,
) -> None:
    """Compare retrieval quality; a document's place is that of its best chunk."""
    model = _embedder()
    report: dict[str, Any] = {}
    for name in datasets:
        dataset = read_dataset(data_dir() / name)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "corpus.json"
            _corpus(dataset).write(path)
            report[name] = {}
            for system in systems:
                ranked = _ranked(system, python, path, model, None if kept is None else kept / name / f"{system}.json")
                rankings = ranked.pop("rankings").items()
                arms = {arm: means(score(found, dataset.judgements)) for arm, found in rankings}
                report[name][system] = {**ranked, **arms}
                sys.stderr.write(f"{name} {system}: {json.dumps(report[name][system])}\n")
    print(json.dumps(report, indent=2))


def _ranked(system: System, python: Path, corpus: Path, model: str, kept: Path | None) -> dict[str, Any]:
    """Return what a system found; what a peer found before is read, Homeground always searches."""
    if kept is not None and system != OURS and kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    result = run(system, python, "retrieval", corpus, "--model", model).result
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result), encoding="utf-8")
    return result


def _corpus(dataset: Dataset) -> Corpus:
    texts = [Text(one.source, one.title, "" if one.text == one.title else one.text) for one in dataset.documents]
    return Corpus(texts, dataset.queries)


@app.command()
def ingest(
    python: PeersPython,
    systems: Systems = list(System),  # noqa: B006 - typer copies it
    chunk_tokens: Annotated[int, typer.Option(help="size of a chunk")] = 200,
    rounds: Annotated[int, typer.Option(help="how often each runs")] = 3,
    folder: Annotated[Path | None, typer.Option(help="what is ingested, instead of the mixed folder")] = None,
) -> None:
    """Compare ingest of a folder of many formats; the systems alternate, medians are compared."""
    options = "--model", _embedder(), "--chunk-tokens", str(chunk_tokens)
    outcomes: dict[System, list[Outcome]] = {system: [] for system in systems}
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch)
            make_folder(folder, data_dir())
        files = sum(path.is_file() for path in folder.rglob("*"))
        for number in range(rounds):
            for system in systems[number % len(systems) :] + systems[: number % len(systems)]:
                outcome = run(system, python, "ingest", folder, *options)
                outcomes[system].append(outcome)
                sys.stderr.write(
                    f"{system}: {outcome.result['seconds']:.1f} s, {len(outcome.result['failed'])} failed\n"
                )
    report = {system: _summary(found) for system, found in outcomes.items()}
    print(json.dumps({"files": files, "rounds": rounds, "chunk_tokens": chunk_tokens, "systems": report}, indent=2))


def _summary(outcomes: list[Outcome]) -> dict[str, Any]:
    seconds = [outcome.result["seconds"] for outcome in outcomes]
    last = outcomes[-1].result
    return {
        **last,
        "seconds": sorted(seconds),
        **{f"{what}_per_s": last[what] / statistics.median(seconds) for what in RATES},
        "process_s": statistics.median(outcome.process_s for outcome in outcomes),
        "peak_mib": max(outcome.peak_mib for outcome in outcomes),
    }


def _embedder() -> str:
    return str(locate(Settings().embedder, "embedder").directory)


if __name__ == "__main__":
    command.run(app)
