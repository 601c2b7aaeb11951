"""The commands of the isolated machine: join, verify, install, rollback. Standard library only; see ``bundle.pyz``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.bundle.install import install, rollback
from scripts.bundle.installation import Installation
from scripts.bundle.manifest import BundleError
from scripts.bundle.parts import join
from scripts.bundle.verify import verify

EXIT_REFUSED = 2
DEFAULT_ROOT = Path.home() / "homeground"

Command = Callable[[argparse.Namespace], None]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the four commands to a parser."""
    joining = _add(commands, "join", _join, "Put a bundle together from its parts, medium by medium.")
    joining.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="what holds parts now")
    joining.add_argument("--to", type=Path, required=True, help="the folder of the bundle; must not exist")
    verifying = _add(commands, "verify", _verify, "Check a bundle; names every missing, added, changed or older file.")
    verifying.add_argument("bundle", type=Path, help="its folder")
    installing = _add(commands, "install", _install, "Install a bundle and make it the version in use.")
    installing.add_argument("bundle", type=Path, help="its folder")
    rolling = _add(commands, "rollback", _rollback, "Go back to the version before.")
    rolling.add_argument("--restore-data", action="store_true", help="also put back the data of then")
    for parser in (verifying, installing):
        parser.add_argument("--key", type=Path, help="the public key; needed until one is known in --root")
    for parser in (verifying, installing, rolling):
        parser.add_argument(
            "--root", type=Path, default=DEFAULT_ROOT, help="the installation; ~/homeground if not given"
        )
    for parser in (installing, rolling):
        parser.add_argument("--data-dir", type=Path, help="where the data lies")
    for parser in (joining, verifying, installing, rolling):
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _join(options: argparse.Namespace) -> None:
    join(options.folders, options.to)
    _tell(options, {"bundle": str(options.to)}, f"{options.to} is put together; verify it next.")


def _verify(options: argparse.Namespace) -> None:
    place = Installation(options.root)
    public = place.public(options.key)
    verdict = verify(options.bundle, public, place.newest(public), place.bundles(public))
    manifest = verdict.manifest
    if options.json:
        problems = [{"what": one.what, "path": one.path, "detail": one.detail} for one in verdict.problems]
        _print({"good": not problems, "problems": problems, "counter": manifest.counter if manifest else None})
    if verdict.problems and options.json:
        sys.exit(EXIT_REFUSED)
    good = verdict.require()
    if not options.json:
        target, carried = good.target, good.carried
        sys.stdout.write(
            f"good: Homeground {good.version}, counter {good.counter}, made {good.created} for {target.platform}, "
            f"Python {target.python}, {target.accelerator}; {len(carried)} files, "
            f"{sum(entry.size for entry in carried.values()) / 1e6:.1f} MB\n"
        )


def _install(options: argparse.Namespace) -> None:
    place = Installation(options.root)
    manifest = install(options.bundle, place, options.key, options.data_dir, _say)
    launcher = place.root / "run"
    _tell(options, {"version": manifest.label, "run": str(launcher)}, f'ask: {launcher} -m rag.ask "…"')


def _rollback(options: argparse.Namespace) -> None:
    place = Installation(options.root)
    label = rollback(place, options.data_dir, restore_data=options.restore_data, say=_say)
    _tell(options, {"version": label}, f"version {label} is in use")


def _say(line: str) -> None:
    sys.stderr.write(f"bundle: {line}\n")
    sys.stderr.flush()


def _tell(options: argparse.Namespace, value: dict[str, object], line: str) -> None:
    if options.json:
        _print(value)
    else:
        sys.stdout.write(f"{line}\n")


def _print(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def main() -> None:
    """Run one of the commands; an error is one line, and exit code 2."""
    parser = argparse.ArgumentParser(prog="bundle.pyz", description="Homeground on a machine without a network.")
    add_commands(parser.add_subparsers(required=True, metavar="COMMAND"))
    options = parser.parse_args()
    try:
        options.run(options)
    except BundleError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
