"""What surrounds every command: offline variables, logging, one line and an exit code for an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"import logging, os, sys\nimport typer\nfrom models import base, command\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.endswith("OFFLINE")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_exits_0_and_keeps_standard_output_to_the_command() -> None:
    done = run("command.run(lambda: print('answer'))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "answer\n", "")


def test_command_makes_an_error_one_line_and_exit_2() -> None:
    done = run("def work():\n    raise base.StoreError('It is full.')\ncommand.run(work)")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: It is full.\n")


def test_command_makes_an_interrupt_exit_130() -> None:
    assert run("def work():\n    raise KeyboardInterrupt\ncommand.run(work)").returncode == 130


def test_command_leaves_a_bug_its_traceback() -> None:
    done = run("command.run(lambda: 1 / 0)")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


TYPER = """
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
@app.command()
def work(number: int) -> None:
    if number == 0:
        raise base.InputError("Not zero.")
    if number == 1:
        raise KeyboardInterrupt
sys.argv = ["work", "{argument}"]
command.run(app)
"""


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("5", 0, ""), ("0", 2, "error: Not zero."), ("1", 130, ""), ("x", 2, "Invalid value")],
)
def test_command_runs_a_typer_app(argument: str, code: int, said: str) -> None:
    done = run(TYPER.format(argument=argument))
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("offline", "expected"), [(True, "1"), (False, "None")])
def test_command_sets_the_offline_variables_before_the_work(offline: bool, expected: str) -> None:
    code = (
        "def work():\n"
        "    names = ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'HF_DATASETS_OFFLINE')\n"
        "    print(*(os.environ.get(name) for name in names), os.environ['HF_HUB_DISABLE_TELEMETRY'])\n"
        f"command.run(work, offline={offline})"
    )
    assert run(code).stdout.split() == [expected] * 3 + ["1"]


def test_command_overrides_an_environment_that_says_online() -> None:
    code = "command.run(lambda: print(os.environ['HF_HUB_OFFLINE']))"
    assert run(code, HF_HUB_OFFLINE="0").stdout == "1\n"


LOG = """
def work():
    logging.getLogger("rag.x").info("seen")
    logging.getLogger("other").info("not")
command.run(work)
"""


def test_command_keeps_numpy_to_one_thread_and_lets_openmp_sleep() -> None:
    done = run(
        "import numpy, threadpoolctl\n"
        "def work():\n"
        "    print({pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas'})\n"
        "    print(os.environ['OMP_WAIT_POLICY'])\n"
        "command.run(work)"
    )
    assert done.stdout in ("{1}\nPASSIVE\n", "set()\nPASSIVE\n")  # macOS brings a BLAS that knows no such limit


def test_command_logs_what_is_ours_to_standard_error() -> None:
    done = run(LOG, HOMEGROUND_LOG_LEVEL="info")
    assert (done.stdout, done.stderr) == ("", "INFO rag.x: seen\n")
    assert run(LOG).stderr == ""
    assert run(LOG.replace("run(work)", 'run(work, log_level="INFO")')).stderr == done.stderr


def test_command_refuses_an_unknown_log_level() -> None:
    done = run(LOG, HOMEGROUND_LOG_LEVEL="loud")
    assert done.returncode == 2
    assert "HOMEGROUND_LOG_LEVEL is 'LOUD'" in done.stderr


def test_command_module_imports_nothing_heavy() -> None:
    done = run("print(sorted({'torch', 'transformers', 'huggingface_hub', 'pydantic'} & sys.modules.keys()))")
    assert done.stdout == "[]\n"
