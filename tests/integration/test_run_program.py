"""Programs that the server starts: stopped with all that they started, ended with the server, failures in words."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from models.base import InputError
from rag.runs import program
from rag.runs.folder import RunFolder
from tests.serving import wait_until

ROOT = Path(__file__).parents[2]
SLEEPS = "import subprocess; subprocess.run(['sleep', '300'])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, 1)
    made.make()
    return made


def grandchildren(parent: psutil.Process) -> list[psutil.Process]:
    return [one for one in parent.children(recursive=True) if one.name() == "sleep"]


def test_child_ends_with_all_that_it_started_when_the_server_is_gone() -> None:
    command = [sys.executable, "-m", "rag.runs.child", "timeit", "-n", "1", "-r", "1", STUBBORN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True) as child:
        found: list[psutil.Process] = []

        def has_started() -> bool:
            found[:] = grandchildren(psutil.Process(child.pid))
            return bool(found)

        wait_until(has_started)
        assert child.stdin is not None
        child.stdin.close()  # as the kernel does for a server that was killed
        assert child.wait(20) < 0
        wait_until(lambda: not found[0].is_running() or found[0].status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("code", [SLEEPS, STUBBORN], ids=["obeys", "stubborn"])
def test_program_is_stopped_with_all_that_it_started(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(program, "GRACE_S", 1.0)
    stopping = threading.Event()
    ended: list[int | None] = []
    arguments = ["-n", "1", "-r", "1", code]
    runner = threading.Thread(target=lambda: ended.append(program.run("timeit", arguments, folder, stopping)))
    runner.start()
    wait_until(lambda: grandchildren(psutil.Process()))
    (sleeper,) = grandchildren(psutil.Process())
    stopping.set()
    runner.join(30)
    assert ended == [None]
    wait_until(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE)


def test_program_runs_below_everything_else_and_its_output_is_kept(folder: RunFolder) -> None:
    code = "import os, json; print(json.dumps({'nice': os.nice(0)}), end='')"
    assert program.run("timeit", ["-n", "1", "-r", "1", code], folder, threading.Event()) == 0
    assert folder.output.read_text().startswith('{"nice": ')
    assert int(folder.output.read_text()[9:].split("}")[0]) >= 10


@pytest.mark.parametrize(
    ("log", "code", "said"),
    [
        ("INFO x\nerror: 2 rows cannot be used:\n  {path}/train.jsonl, line 3: is not JSON\n", 2, "2 rows cannot"),
        ("Traceback\nMemoryError\n", 1, "the program ended with status 1: MemoryError"),
        ("", -9, "a signal (9); there may be too little memory"),
    ],
)
def test_failure_is_told_in_the_programs_words(folder: RunFolder, log: str, code: int, said: str) -> None:
    folder.log.write_text(log.format(path=folder.path), encoding="utf-8")
    told = folder.failure(code)
    assert said in told
    assert str(folder.path) not in told


def test_points_are_given_once_and_never_in_halves(folder: RunFolder) -> None:
    assert folder.points(0) == ([], 0)
    folder.tell(step=1)
    with folder.progress.open("a") as file:
        file.write('{"step": 2')
    points, after = folder.points(0)
    assert points == [{"step": 1}]
    with folder.progress.open("a") as file:
        file.write(', "loss": 1}\n')
    assert folder.points(after) == ([{"step": 2, "loss": 1}], folder.progress.stat().st_size)


def test_empty_file_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as file, pytest.raises(InputError, match="the file is empty"):
        folder.keep("train.jsonl", file)
