"""
The command ``python -m rag.doctor``: what is installed, what is missing or damaged, and what could reach out.

    python -m rag.doctor                    ends with 1 if anything does not work
    python -m rag.doctor --prove-offline    also runs everything without a network, and counts attempts to reach one
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from models import adapter_store, carried, command, export, store
from models.base import HomegroundError
from models.manifest import file_sha256
from rag import config
from rag.config import Settings

LOW_DISK_GB = 3
LOW_MEMORY_GIB = 2
EXIT_UNWELL = 1

State = Literal["ok", "warning", "problem"]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; a ``problem`` keeps Homeground from working, a ``warning`` does not."""

    what: str
    state: State
    detail: str


@app.command()
def doctor(
    prove_offline: Annotated[
        bool, typer.Option("--prove-offline", help="run everything without a network, and count attempts to reach one")
    ] = False,
    installed: Annotated[
        bool, typer.Option("--installed", help="leave out the configured models and adapters; for the installer")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Look at everything that Homeground needs here, without changing it."""
    settings = config.load(settings_file, data_dir=data_dir)
    findings = []
    configured = () if installed else (_models, _adapters)
    for look in (_packages, _bundle, *configured, _machine, _sqlite, _data, _network):
        findings += _looked(look, settings)
    facts: dict[str, object] = {"findings": [asdict(one) for one in findings]}
    if prove_offline:
        from rag.offline import prove

        sys.stderr.write("doctor: running ingest, ask, serve and a short training without a network\n")
        proof = prove(settings)
        facts["offline"] = asdict(proof)
        findings += [_proved(asdict(proof), is_good=proof.is_good)]
    good = not any(one.state == "problem" for one in findings)
    if as_json:
        sys.stdout.write(json.dumps({"good": good, **facts}, ensure_ascii=False) + "\n")
    for one in findings:
        out = sys.stdout if not as_json else sys.stderr
        if not as_json or one.state == "problem":
            out.write(f"{one.state:8} {one.what}: {one.detail}\n")
    if not good:
        raise typer.Exit(EXIT_UNWELL)


def _looked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    """Return what was found; an error is a finding, too, and does not end the examination."""
    found: list[Finding] = []
    try:
        found.extend(look(settings))
    except HomegroundError as error:
        found.append(Finding(look.__name__.strip("_"), "problem", str(error)))
    return found


def _packages(settings: Settings) -> Iterator[Finding]:
    """Compare what is installed with what the bundle lists; elsewhere, only look for Homeground itself."""
    installed = {_canonical(one.name): one.version for one in importlib.metadata.distributions()}
    yield Finding(
        "homeground", "ok", f"{installed.get('homeground', 'a checkout')}, Python {platform.python_version()}"
    )
    folder = carried.carried_dir()
    if folder is None:
        return
    listed = json.loads((folder / "sbom.cdx.json").read_bytes())["components"]
    wanted = {_canonical(one["name"]): one["version"] for one in listed if one["type"] == "library"}
    different = [
        f"{name} {installed.get(name, 'missing')} instead of {wanted.get(name, 'none')}"
        for name in sorted(installed.keys() | wanted.keys())
        if installed.get(name) != wanted.get(name)
    ]
    if different:
        yield Finding("packages", "problem", f"not those of the bundle: {', '.join(different[:5])}; install it again.")
    else:
        yield Finding("packages", "ok", f"{len(wanted)}, exactly those that the bundle lists")


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _bundle(settings: Settings) -> Iterator[Finding]:
    folder = carried.carried_dir()
    if folder is None:
        yield Finding("bundle", "ok", "none; this environment was set up from a package index")
        return
    content = json.loads((folder / "manifest.json").read_bytes())
    files = content["files"].items()
    bad = [p for p, entry in files if not (folder / p).is_file() or file_sha256(folder / p) != entry["sha256"]]
    told = f"counter {content['counter']}, made {content['created']}"
    if bad:
        yield Finding("bundle", "problem", f"{told}; missing or changed: {', '.join(bad[:5])}; install it again.")
    else:
        yield Finding("bundle", "ok", f"{told}, {len(files)} files, verified")


def _models(settings: Settings) -> Iterator[Finding]:
    """Verify the configured models, completely if they changed since they were last read."""
    embedder = store.locate(settings.embedder, "embedder")
    yield Finding("embedder", "ok", f"{embedder.name}, verified, {embedder.licence}")
    if settings.remote.url is not None:
        yield Finding(
            "generator", "warning", f"{settings.generator} runs at {settings.remote.url}, not on this machine"
        )
        return
    generator = store.locate(settings.generator, "generator")
    yield Finding("generator", "ok", f"{generator.name}, verified, {generator.licence}")
    if export.find(generator) is None:
        detail = f"none; `python -m models.export {generator.name}` makes answers several times faster on a CPU"
        yield Finding("fast engine", "warning", detail)
    else:
        yield Finding("fast engine", "ok", "exported and verified")


def _adapters(settings: Settings) -> Iterator[Finding]:
    names = [adapter.name for adapter in adapter_store.installed()]
    yield Finding("adapters", "ok", ", ".join(names) or "none")


def _machine(settings: Settings) -> Iterator[Finding]:
    place = settings.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    yield Finding("disk", "ok" if free >= LOW_DISK_GB else "warning", f"{free:.1f} GB free at {place}")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        yield Finding("memory", "ok" if memory >= LOW_MEMORY_GIB else "warning", f"{memory:.1f} GiB")
    yield Finding("cores", "ok", f"{os.cpu_count()}, {platform.machine()}")
    import torch

    device = torch.accelerator.current_accelerator(check_available=True)
    yield Finding(
        "GPU",
        "ok",
        "none; the CPU is used"
        if device is None
        else torch.cuda.get_device_name()
        if device.type == "cuda"
        else device.type,
    )


def _sqlite(settings: Settings) -> Iterator[Finding]:
    from rag.store.snapshot import FIRST_SOUND_SQLITE, sqlite_version

    version = sqlite_version()
    if version < FIRST_SOUND_SQLITE:
        detail = f"{'.'.join(map(str, version))} can damage a database; 3.51.3 or newer is needed: update apsw."
        yield Finding("SQLite", "problem", detail)
    else:
        yield Finding("SQLite", "ok", ".".join(map(str, version)))


def _data(settings: Settings) -> Iterator[Finding]:
    from rag.store.schema import MIGRATIONS
    from rag.store.snapshot import has_store, schema_version

    place = settings.data_dir
    if not has_store(place):
        yield Finding("data", "ok", f"nothing in {place} yet")
        return
    version, known = schema_version(place), len(MIGRATIONS)
    if version > known:
        detail = (
            f"{place} was written by a newer Homeground (tables {version}, known {known}); update, or restore a backup."
        )
        yield Finding("data", "problem", detail)
    else:
        later = "" if version == known else f"; they will be brought to {known} when it is opened"
        yield Finding("data", "ok", f"{place}, tables {version}{later}")


def _network(settings: Settings) -> Iterator[Finding]:
    """Say what could carry something out, and what keeps our dependencies from trying."""
    wrong = [name for name, value in (command.NO_TELEMETRY | command.OFFLINE).items() if os.environ.get(name) != value]
    if wrong:
        yield Finding("telemetry", "problem", f"not switched off: {', '.join(wrong)}; start commands with python -m.")
    else:
        yield Finding("telemetry", "ok", "every known switch of the dependencies is off, and Hugging Face is offline")
    proxies = sorted(name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy"))
    if proxies:
        yield Finding("proxy", "warning", f"{', '.join(proxies)} is set; nothing here uses it")
    if settings.remote.url is not None:
        yield Finding("remote", "warning", f"questions and passages are sent to {settings.remote.url}")
    routes = Path("/proc/net/route")
    if routes.is_file():
        lines = [line.split() for line in routes.read_text(encoding="ascii").splitlines()[1:]]
        ways = sorted({line[0] for line in lines if line[1] == "00000000"})
        detail = f"there is a way to other networks through {', '.join(ways)}" if ways else "no way to other networks"
        yield Finding("network", "ok", detail)


def _proved(proof: dict[str, object], *, is_good: bool) -> Finding:
    steps = proof["steps"]
    told = ", ".join(f"{name} {seconds} s" for name, seconds in steps.items()) if isinstance(steps, dict) else ""
    attempts = proof["attempts"]
    lines = attempts if isinstance(attempts, list) else []
    if is_good:
        packets = "" if proof["packets"] is None else " and 0 packets"
        return Finding("offline", "ok", f"0 attempts{packets} to reach out, by {proof['isolation']}: {told}")
    tried = "; ".join(f"{one['module']} to {one['address']}" for one in lines) or "compiled code"
    return Finding("offline", "problem", f"{len(lines)} attempts, {proof['packets']} packets without a route: {tried}")


def main() -> None:
    """Run the command."""
    command.run(app)


if __name__ == "__main__":
    main()
