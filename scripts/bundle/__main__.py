"""
Carry Homeground to a machine without a network.

    python -m scripts.bundle keygen                                    once, on the connected machine
    python -m scripts.bundle make --key KEY --out bundle/              there, for every delivery
    python3 bundle/bundle.pyz verify bundle/ --key PUBLIC              on the isolated machine
    python3 bundle/bundle.pyz install bundle/ --key PUBLIC             on the isolated machine
    python3 bundle/bundle.pyz rollback                                 back to the version before

What ``bundle.pyz`` does, this command does as well. See docs/airgap.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from models import command
from models.base import ConfigError, InputError
from models.durable import write_whole
from rag import config
from scripts.bundle import arrival, ed25519, signature, target
from scripts.bundle.make import Label, Order, make
from scripts.bundle.manifest import BundleError, Manifest, Target, describe
from scripts.bundle.parts import MIN_PART_BYTES, TOOL, split

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bundle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_keygen(commands)
    _add_make(commands)
    arrival.add_commands(commands)
    options = parser.parse_args()
    try:
        options.run(options)
    except BundleError as error:
        raise InputError(str(error)) from error


def _add_keygen(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("keygen", help="Make the key pair that bundles are signed with.")
    parser.add_argument("--dir", type=Path, default=Path(platformdirs.user_data_dir("homeground")) / "keys")
    parser.add_argument("--name", default="bundle", help="of the two files, before .key and .pub")
    parser.set_defaults(run=_keygen)


def _add_make(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("make", help="Make a bundle, or with --since an update of one.")
    parser.add_argument("--key", type=Path, required=True, help="the secret key, made by keygen")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the bundle; must not exist")
    parser.add_argument("--models", nargs="*", default=[], help="names; the two default models if not given")
    parser.add_argument("--adapters", nargs="*", default=[], help="names")
    parser.add_argument("--collections", nargs="*", default=[], help="names; their documents go along")
    parser.add_argument("--licence", action="append", default=[], metavar="NAME=LICENCE", help="of what states none")
    parser.add_argument("--platform", default=target.here(), help=f"of the isolated machine: {', '.join(target.TAGS)}")
    parser.add_argument("--python", default=platform.python_version(), help="oldest release that it has")
    parser.add_argument("--accelerator", default="cpu", help="cpu or cuda")
    parser.add_argument("--since", type=Path, metavar="OLD", help="carry only what changed since this bundle")
    parser.add_argument("--part-size", metavar="SIZE", help="also cut it into parts, for example 4G or 650M")
    parser.add_argument("--date", help="of the bundle, ISO 8601 with its zone; now if not given")
    parser.add_argument("--counter", type=int, help="of the bundle; one more than the last if not given")
    parser.add_argument("--data-dir", type=Path, help="where the collections lie")
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("homeground")) / "wheels")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_make)


def _keygen(options: argparse.Namespace) -> None:
    secret_file, public_file = signature.generate(options.dir, options.name)
    sys.stdout.write(
        f"secret: {secret_file} (stays on this machine; whoever has it can make bundles that are accepted)\n"
        f"public: {public_file} (goes to the isolated machine, by another way than the bundles)\n"
        f"fingerprint: {signature.fingerprint(signature.read_public(public_file))}\n"
    )


def _make(options: argparse.Namespace) -> None:
    wanted = target.check(Target(options.platform, options.python, options.accelerator))
    size = None if options.part_size is None else _bytes(options.part_size)
    counter_file = options.key.with_suffix(".counter")
    counter = _last(counter_file) + 1 if options.counter is None else options.counter
    order = Order(
        models=tuple(options.models),
        adapters=tuple(options.adapters),
        collections=tuple(options.collections),
        licences=dict(_pair(text) for text in options.licence),
        data_dir=config.load(data_dir=options.data_dir).data_dir,
        cache=options.cache / f"{wanted.platform}-{wanted.python}-{wanted.accelerator}",
    )
    label = Label(_moment(options.date), counter, wanted)
    manifest = make(order, options.out, options.key, label, options.since)
    write_whole(counter_file, f"{max(counter, _last(counter_file))}\n".encode())
    cut = [] if size is None else split(options.out, options.out.with_name(f"{options.out.name}.parts"), size)
    _report(options, manifest, cut)


def _report(options: argparse.Namespace, manifest: Manifest, cut: list[Path]) -> None:
    carried = manifest.carried
    tool = describe(options.out / TOOL).sha256
    size = sum(entry.size for entry in carried.values())
    if options.json:
        facts = {"bundle": str(options.out), "counter": manifest.counter, "files": len(carried), "bytes": size}
        facts |= {"kept": len(manifest.kept), "parts": [str(part) for part in cut], "tool_sha256": tool}
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    fingerprint = signature.fingerprint(ed25519.public_key(signature.read_secret(options.key)))
    kept = f", {len(manifest.kept)} more are as in the bundle before" if manifest.kept else ""
    parts = f"parts: {len(cut)} in {cut[0].parent}\n" if cut else ""
    sys.stdout.write(
        f"{options.out}: counter {manifest.counter}, {len(carried)} files, {size / 1e6:.1f} MB{kept}\n{parts}"
        f"{TOOL}: SHA-256 {tool}\nkey: fingerprint {fingerprint}\n"
    )


def _last(counter_file: Path) -> int:
    if not counter_file.is_file():
        return 0
    text = counter_file.read_text(encoding="ascii").strip()
    if not text.isdigit():
        raise ConfigError(f"{counter_file} holds {text!r}, expected the counter of the last bundle; give --counter.")
    return int(text)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--date {text!r} is no date; expected one such as 2026-11-28T12:00:00Z.") from error
    if moment.tzinfo is None:
        raise ConfigError(f"--date {text!r} does not say its time zone; for UTC put Z behind it.")
    return moment


def _pair(text: str) -> tuple[str, str]:
    name, separator, licence = text.partition("=")
    if not (name and separator and licence):
        raise ConfigError(f"--licence {text!r} is not NAME=LICENCE.")
    return name, licence


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?)B?", text.upper())
    size = int(found[1]) * UNITS[found[2]] if found else 0
    if size < MIN_PART_BYTES:
        raise ConfigError(f"--part-size {text!r} is no size of a part; expected one such as 650M, at least 64K.")
    return size


if __name__ == "__main__":
    command.run(main, offline=False, log_level="INFO")
