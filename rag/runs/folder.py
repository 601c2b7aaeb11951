"""The folder of a run: what it was given, how far it came, what it gave. It is called by the run's number."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from models.base import InputError
from models.progress import ProgressFile

FOLDER = "runs"
"""Below the data directory."""

MAX_FAILURE_CHARACTERS = 6000
MAX_POINTS_BYTES = 2**20
CHUNK_BYTES = 2**20


class RunFolder:
    """
    The folder of one run.

    Args:
        data_dir: the server's data directory.
        run_id: the run's number.

    Attributes:
        path: where it lies.
        config: the settings that the program is given.
        progress: what it tells while it runs, a JSON object a line.
        log: what it writes to standard error.
        output: what it prints.
    """

    def __init__(self, data_dir: Path, run_id: int) -> None:
        self.path = data_dir / FOLDER / str(run_id)
        self.config = self.path / "config.yaml"
        self.progress = self.path / "progress.jsonl"
        self.log = self.path / "log.txt"
        self.output = self.path / "output.json"

    def make(self) -> None:
        """Make it, for the server's account alone."""
        self.path.mkdir(parents=True, mode=0o700)

    def remove(self) -> None:
        """Remove it with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)

    def keep(self, name: str, file: BinaryIO) -> None:
        """
        Keep an uploaded file.

        Args:
            name: ours, never the browser's.
            file: its bytes.

        Raises:
            InputError: it is empty.
        """
        with (self.path / name).open("wb") as target:
            shutil.copyfileobj(file, target, CHUNK_BYTES)
        if not (self.path / name).stat().st_size:
            raise InputError("the file is empty.")

    def write_config(self, settings: dict[str, Any]) -> None:
        """Write the settings for the program."""
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")

    def tell(self, **facts: object) -> None:
        """Note how far a run is that has no program of its own."""
        self.path.mkdir(parents=True, mode=0o700, exist_ok=True)
        ProgressFile(self.progress).tell(**facts)

    def points(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """
        Return what was told since a place in the file, and the place where that ends.

        Args:
            after: bytes from the beginning, as they were returned before; 0 at first.
        """
        if not self.progress.is_file():
            return [], 0
        with self.progress.open("rb") as file:
            file.seek(after)
            told = file.read(MAX_POINTS_BYTES)
        whole = told[: told.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()], after + len(whole)

    def result(self) -> dict[str, Any]:
        """Return the object that the program printed."""
        found: dict[str, Any] = json.loads(self.output.read_text(encoding="utf-8"))
        return found

    def failure(self, code: int) -> str:
        """
        Return why the program ended with an error, in its own words, without the places of this machine.

        Args:
            code: its exit status; negative for a signal.
        """
        said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        *_, error = re.split(r"^error: ", said, flags=re.MULTILINE)
        if error == said:
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            why = f"a signal ({-code}); there may be too little memory" if code < 0 else f"status {code}"
            error = f"the program ended with {why}: {last[0]}"
        return error.strip().replace(f"{self.path}/", "")[:MAX_FAILURE_CHARACTERS]
