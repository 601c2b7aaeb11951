"""
``python -m models.export NAME``: make what the fast engine runs from a model's own weights, and check it.

An export is a graph with int8 weights in a directory of its own, named by the weights that it was made from. It is
made on this machine, from what is here already, so it needs no network.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer
from safetensors import safe_open

from models import catalog, command
from models.anatomy import Anatomy, anatomy
from models.base import ModelError
from models.carried import carried
from models.manifest import file_sha256
from models.store import Model, locate

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from models.fidelity import Fidelity
    from models.graph import Graph

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "HOMEGROUND_EXPORTS_DIR"
FORMAT = 2
"""Raised with every change of what a graph looks like; exports of another format are made again."""

GRAPH, WEIGHTS, FACTS = "graph.xml", "graph.bin", "export.json"
MAX_RISE = 0.02
"""Of perplexity, by rounding to int8."""

MAX_DRIFT = 0.1
"""Of a step from its graph, nats a token."""

BYTES_FOR_EACH = 10
"""Memory for each of a model's numbers: four for the network, four for the graph, the rest for what is rounded."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Export:
    """
    A model's graph, and how far its answers are from the model's own.

    Attributes:
        weights_hash: of the model that it was made from.
        anatomy: what a step needs to know, which generates beside the graph; None where the graph alone does.
        fidelity: numbers of :class:`models.fidelity.Fidelity` by name, ``rise`` among them.
        files: SHA-256 by name.
    """

    directory: Path
    weights_hash: str
    anatomy: Anatomy | None
    fidelity: dict[str, float]
    files: dict[str, str]

    @property
    def graph_file(self) -> Path:
        """The graph, its weights beside it."""
        return self.directory / GRAPH


def exports_dir() -> Path:
    """Return where exports are kept: ``$HOMEGROUND_EXPORTS_DIR``, else the platform's user data directory."""
    override = os.environ.get(DIRECTORY_VARIABLE)
    return Path(override).expanduser() if override else platformdirs.user_data_path("homeground") / "exports"


def find(model: Model) -> Export | None:
    """
    Return a model's export, its files verified; None where there is none of this format.

    Raises:
        ModelError: it is damaged.
    """
    directory = next((place for place in _places(model) if (place / FACTS).is_file()), None)
    if directory is None:
        return None
    facts = directory / FACTS
    try:
        content = json.loads(facts.read_text(encoding="utf-8"))
        its = content.pop("anatomy")
        found = Export(directory=directory, anatomy=its and Anatomy(**its), **content)
        damaged = [name for name, digest in found.files.items() if file_sha256(directory / name) != digest]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{directory} is damaged ({error}); run `python -m models.export {model.name} --again`."
        ) from error
    if damaged or set(found.files) != {GRAPH, WEIGHTS}:
        raise ModelError(
            f"{directory}: {', '.join(damaged) or 'a file'} has changed since it was made; "
            f"run `python -m models.export {model.name} --again`."
        )
    return found


def export(model: Model) -> Export:
    """
    Make a model's export and check it.

    Raises:
        ModelError: OpenVINO cannot run such a network, or int8 costs more than 2 % of perplexity.
    """
    import torch

    from models import graph, lowering
    from models.network import load_network
    from models.quiet_openvino import openvino

    started = time.perf_counter()
    _require_memory(model)
    network = load_network(model, torch.float32)
    try:
        lowered = lowering.lower(network)
    except ModelError as error:
        raise ModelError(f"{model.name!r}: {error}") from error
    graph.to_int8(lowered)
    work = exports_dir() / f".{_directory(model).name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        openvino.save_model(lowered, work / GRAPH, compress_to_fp16=False)
        logger.info("%s: lowered in %.0f s; checking", model.name, time.perf_counter() - started)
        its, measured = _checked(network, lowered, work / GRAPH, model)
        _require_good(model, measured)
        found = Export(
            directory=_directory(model),
            weights_hash=model.weights_hash,
            anatomy=its,
            fidelity=asdict(measured) | {"rise": measured.rise},
            files={name: file_sha256(work / name) for name in (GRAPH, WEIGHTS)},
        )
        content = {name: value for name, value in asdict(found).items() if name != "directory"}
        (work / FACTS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for old in exports_dir().glob(f"{_named(model)}-*"):  # of this format or another
            shutil.rmtree(old, ignore_errors=True)
        work.rename(found.directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    logger.info("%s: exported in %.0f s", model.name, time.perf_counter() - started)
    return found


def _checked(
    network: PreTrainedModel, lowered: Graph, graph_file: Path, model: Model
) -> tuple[Anatomy | None, Fidelity]:
    """Compare with the network what will serve it: the graph, beside it a step where there can be one that agrees."""
    from models import fidelity
    from models.openvino_network import OpenVinoNetwork
    from models.quiet_openvino import openvino
    from models.tokenizer import ChatTokenizer

    tokenizer = ChatTokenizer(model)

    def serve(its: Anatomy | None) -> OpenVinoNetwork:
        return OpenVinoNetwork(openvino.Core().read_model(graph_file), model, its)

    its = anatomy(network)
    if its is not None:
        try:
            served = serve(its)
            measured = fidelity.measure(network, lowered, served, tokenizer)
            if measured.drift <= MAX_DRIFT:
                return its if served.has_step else None, measured
            reason = f"a step of ours differs from it by {measured.drift:.3f} nats a token"
        except ModelError as error:
            reason = str(error)
        logger.warning("%s: its graph generates, which takes longer: %s", model.name, reason)
    return None, fidelity.measure(network, lowered, serve(None), tokenizer)


def _require_memory(model: Model) -> None:
    """Refuse a model whose export would need more memory than the machine has; swapping would take hours."""
    numbers = 0
    for file in model.directory.glob("*.safetensors"):
        with safe_open(file, "np") as weights:
            numbers += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    needed, there = numbers * BYTES_FOR_EACH / 2**30, _memory_gib()
    if needed > there:
        raise ModelError(
            f"{model.name!r} cannot be exported here: {needed:.0f} GiB of memory are needed, {there:.0f} are there. "
            f"Export it on a larger one and copy {exports_dir()}."
        )


def _memory_gib() -> float:
    if not hasattr(os, "sysconf"):  # Windows
        return math.inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _require_good(model: Model, measured: Fidelity) -> None:
    if not measured.rise <= MAX_RISE:
        raise ModelError(
            f"{model.name!r} loses too much in int8: perplexity {measured.perplexity:.2f} becomes "
            f"{measured.perplexity_int8:.2f}, {measured.rise:.1%} more; {MAX_RISE:.0%} are allowed. Nothing was "
            "written; use the engine transformers."
        )


def _places(model: Model) -> list[Path]:
    """Return where an export may lie: made here, or brought by a bundle."""
    own, brought = _directory(model), carried("exports")
    return [own] if brought is None else [own, brought / own.name]


def _directory(model: Model) -> Path:
    return exports_dir() / f"{_named(model)}-{FORMAT}"


def _named(model: Model) -> str:
    return f"{model.weights_hash[:24]}-int8"


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="None: the default generator.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Make it although it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Make generators ready for the fast engine on a CPU."""
    done = []
    for name in names or [catalog.load().defaults["generator"]]:
        model = locate(name, "generator")
        found = (None if again else find(model)) or export(model)
        done.append(asdict(found) | {"model": model.name, "directory": str(found.directory)})
        sys.stderr.write(f"{model.name}: {told(found)}\n")
    if as_json:
        sys.stdout.write(json.dumps({"exports": done}) + "\n")


def told(found: Export) -> str:
    """Say how far an export's answers are from the model's own."""
    numbers = found.fidelity
    return (
        f"perplexity {numbers['perplexity']:.2f}, in int8 {numbers['perplexity_int8']:.2f} ({numbers['rise']:+.1%}); "
        f"{numbers['same_answers']} of {numbers['prompts']} greedy answers are the same; tokens are generated by "
        f"{'our own step' if found.anatomy else 'OpenVINO'}"
    )


if __name__ == "__main__":
    command.run(app, log_level="INFO")
