"""The training commands as people type them: mistakes, power cuts, Ctrl-C, two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.fakes import write_tiny_generator
from tests.serving import wait_until
from tests.training import questions, write_config, write_rows

ROOT = Path(__file__).parents[2]
LONG = {"steps": 120, "checkpoint_every": 10, "eval_every": 60, "gate": {"max_tokens": 4}}
SHORT = {"steps": 8, "gate": {"max_tokens": 4}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_generator(tmp_path_factory.mktemp("base") / "tiny")


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HOMEGROUND_ADAPTERS_DIR": str(home), "HOMEGROUND_MODELS_DIR": str(home / "none")}


def command(config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "finetune.train", "--config", str(config), *more]


def run(home: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT, env=environment(home))


def weights(home: Path) -> dict[str, torch.Tensor]:
    return load_file(home / "letters" / "adapter_model.safetensors")


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_run_prints_one_object(tmp_path: Path, base: Path) -> None:
    result = run(tmp_path / "a", command(write_config(tmp_path, base, **SHORT), "--json"))
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert {"adapter", "scores", "gate", "forgetting_nats", "tokens_per_s", "seconds"} <= set(told)
    assert set(told["scores"]) == {"before", "after"}
    assert told["gate"]["passed"] in (True, False)
    assert Path(told["directory"], "report.html").is_file()


def test_mistakes_are_named_without_loading_torch(tmp_path: Path, base: Path) -> None:
    config = write_config(tmp_path, base, steps=0, lr=1, name="No Name")
    result = run(tmp_path / "a", [sys.executable, "-X", "importtime", *command(config)[1:]])
    assert result.returncode == 2
    assert result.stdout == ""
    assert "3 settings are wrong" in result.stderr
    assert "Traceback" not in result.stderr
    assert "| torch\n" not in result.stderr


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, base: Path, kill: signal.Signals) -> None:
    config = write_config(tmp_path, base, lora={"r": 4, "dropout": 0.1}, **LONG)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run(straight, command(config)).returncode == 0
    checkpoints = broken / ".runs" / "letters" / "checkpoints"
    with subprocess.Popen(
        command(config), cwd=ROOT, env=environment(broken), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: (checkpoints / "checkpoint-20").is_dir() or process.poll() is not None, seconds=120)
        process.send_signal(kill)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == (-signal.SIGKILL if kill == signal.SIGKILL else 130), errors
    assert not (broken / "letters").exists()
    if kill != signal.SIGKILL:
        assert "--resume goes on" in errors
    refused = run(broken, command(config))
    assert refused.returncode == 2
    assert "an interrupted run 'letters' is at checkpoint-" in refused.stderr
    resumed = run(broken, command(config, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    assert largest_difference(weights(straight), weights(broken)) == 0
    assert not (broken / ".runs" / "letters").exists()


def test_two_processes_learn_what_one_learns(tmp_path: Path, base: Path) -> None:
    write_rows(tmp_path / "train.jsonl", questions(61))
    config = write_config(tmp_path, base, epochs=1, steps=None, batch_size=7, gate={"max_tokens": 4})
    assert run(tmp_path / "one", command(config)).returncode == 0
    recipe = ROOT / "finetune" / "recipes" / "accelerate" / "two-cpu-processes.yaml"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(recipe)]
    result = run(tmp_path / "two", [*launch, *command(config, "--json")[1:]])
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["adapter"] == "letters"
    assert largest_difference(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-4


def test_adapters_are_listed_shown_and_removed(tmp_path: Path, base: Path) -> None:
    home = tmp_path / "a"
    assert run(home, command(write_config(tmp_path, base, **SHORT))).returncode == 0
    adapters = [sys.executable, "-m", "finetune.adapters"]
    assert "letters" in run(home, [*adapters, "list"]).stdout
    assert '"steps": 8' in run(home, [*adapters, "show", "letters"]).stdout
    assert run(home, [*adapters, "show", "leters"]).stderr.startswith("error: There is no adapter named 'leters'")
    assert run(home, [*adapters, "remove", "letters"]).returncode == 0
    assert "letters" not in run(home, [*adapters, "list"]).stdout
