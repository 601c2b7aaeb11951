"""The settings of a run: what is wrong is named, all at once, with its line; recipes and the schema are up to date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from finetune import files, scores
from finetune.config import TrainConfig, read
from models.base import ConfigError
from models.catalog import load

RECIPES = Path(__file__).parents[2] / "finetune" / "recipes"
SMALLEST = "base: smollm2-135m-instruct\nname: house-style\ndata: {train: train.jsonl}\n"


@pytest.fixture(autouse=True)
def _data(tmp_path: Path) -> None:
    for name in ("train.jsonl", "dev.jsonl", "schema.json"):
        (tmp_path / name).write_text("{}\n")


def write(directory: Path, text: str) -> Path:
    path = directory / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_smallest_config_works(tmp_path: Path) -> None:
    settings = read(write(tmp_path, SMALLEST))
    assert settings.data.train == [tmp_path / "train.jsonl"]
    assert (settings.epochs, settings.steps, settings.lora.targets) == (3.0, None, "all-linear")


def test_config_of_the_guide_is_read_as_written(tmp_path: Path) -> None:
    text = """
        base: smollm2-135m-instruct
        name: house-style
        data: {train: train.jsonl, eval: dev.jsonl}
        lora: {r: 16, alpha: 32, targets: all-linear}
        steps: 300
        learning_rate: 5e-4
        batch_size: 16
        max_length: 1024
        gate: {score: json_schema, schema: schema.json, max_forgetting: 0.05}
    """
    settings = read(write(tmp_path, text))
    assert (settings.learning_rate, settings.steps, settings.epochs) == (5e-4, 300, None)
    assert settings.gate.schema_file == tmp_path / "schema.json"


def test_every_mistake_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    text = """base: smollm2-135m-instruct
name: House Style
data: {train: nope.jsonl, evil: dev.jsonl}
lora: {r: 0, alfa: 32}
steps: 300
epochs: 2
learning_rat: 5e-4
learning_rate: fast
batch_size: 16
batch_size: 8
gate: {score: json_schema, max_forgetting: -1}
precision: fp8
"""
    with pytest.raises(ConfigError, match="12 settings are wrong") as caught:
        read(write(tmp_path, text))
    message = str(caught.value)
    for line, what in (
        (2, "name: String should match"),
        (3, r"data.train.0: "),
        (3, "data.evil: unknown setting; did you mean 'eval'?"),
        (4, "lora.r: "),
        (4, "lora.alfa: unknown setting; did you mean 'alpha'?"),
        (6, "epochs: give steps or epochs, not both"),
        (7, "learning_rat: unknown setting; did you mean 'learning_rate'?"),
        (8, "learning_rate: Input should be a valid number"),
        (10, "batch_size: set a second time, first in line 9"),
        (11, "gate.schema: the score 'json_schema' needs 'schema'"),
        (11, "gate.max_forgetting: "),
        (12, "precision: Input should be"),
    ):
        assert f"line {line}: {what}" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("gate: {score: regex}", "the score 'regex' needs 'pattern'"),
        ("gate: {score: f1, pattern: x}", "is used by the score 'regex' only, and the score is 'f1'"),
        ("gate: {score: accuracy}", r"gate\.score: Input should be 'exact_match'"),
        ("lora: {dora: true, rslora: true}", "choose one"),
        ("name: base", "auto and base mean no adapter and the usual one"),
        ("learning_rate: .nan", "learning_rate: Input should be"),
        ("data: {train: []}", r"data\.train: .*at least 1 item"),
        ("epochs: 0", r"epochs: Input should be greater than 0"),
    ],
)
def test_setting_that_contradicts_another_is_refused(tmp_path: Path, line: str, message: str) -> None:
    text = SMALLEST.replace("data: {train: train.jsonl}\n", "") if line.startswith("data") else SMALLEST
    with pytest.raises(ConfigError, match=message):
        read(write(tmp_path, text + line + "\n"))


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    text = SMALLEST.replace("train.jsonl", "../train.jsonl")
    settings = read(write(tmp_path / "configs", text))
    assert settings.data.train[0].resolve() == tmp_path / "train.jsonl"


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.name)
def test_recipe_is_valid_and_names_a_model_of_the_catalog(tmp_path: Path, recipe: Path) -> None:
    settings = read(write(tmp_path, recipe.read_text(encoding="utf-8")))
    assert load().models[settings.base].role == "generator"
    for line in recipe.read_text(encoding="utf-8").splitlines():
        for word in line.split():
            if word.startswith("accelerate/"):
                assert (RECIPES / word).is_file()


@pytest.mark.parametrize("recipe", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.name)
def test_accelerate_config_is_read_by_accelerate(recipe: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(recipe))
    assert loaded.num_processes == yaml.safe_load(recipe.read_text())["num_processes"]


def test_sample_run_is_valid_and_its_rows_follow_its_schema() -> None:
    folder = RECIPES.parents[1] / "docs" / "samples" / "house-style"
    settings = read(folder / "train.yaml")
    score = scores.choose(settings.gate)
    assert score is not None
    for path in (folder / "train.jsonl", folder / "dev.jsonl"):
        found = files.read([path])
        assert not found.bad
        assert all(score.measure(one.answer, one.answer)["json_valid"] == 1 for one in found.usable)
    assert not files.leaks(files.read([folder / "train.jsonl"]).usable, files.read([folder / "dev.jsonl"]).usable)


def test_published_schema_is_that_of_the_settings() -> None:
    published = json.loads((RECIPES.parent / "config.schema.json").read_text(encoding="utf-8"))
    assert published == TrainConfig.model_json_schema(by_alias=True)
