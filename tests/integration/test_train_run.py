"""A run from its config to an adapter that is served: nothing is lost on the way, and its report says everything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune import adapters as adapters_command
from finetune import export, run
from finetune.config import read
from finetune.run import Outcome
from finetune.setup import set_up
from finetune.train import app
from models.adapter_store import installed, locate, offered
from models.adapters import REPORT
from models.base import ConfigError, InputError, Message, ModelError, SamplingParams
from models.engines import load_generator
from models.store import Model
from models.store import locate as locate_model
from tests.fakes import write_tiny_generator
from tests.training import questions, write_config, write_rows

GREEDY = SamplingParams(max_tokens=12)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_generator(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(tmp_path / "adapters"))
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "adapters"


def trained(directory: Path, base: Path, *, overwrite: bool = False, **settings: Any) -> Outcome:
    path = write_config(directory, base, **settings)
    outcome = run.run(set_up(read(path), skip_bad_rows=False), resume=False, overwrite=overwrite)
    assert outcome is not None
    return outcome


def model_of(base: Path) -> Model:
    return locate_model(str(base), "generator")


LEARNS: dict[str, Any] = {"steps": 60, "gate": {"score": "exact_match", "max_forgetting": 9, "max_tokens": 8}}


def test_run_puts_a_verified_adapter_in_its_place(tmp_path: Path, base: Path, home: Path) -> None:
    outcome = trained(tmp_path, base, **LEARNS)
    assert outcome.verdict.scores["after"]["loss"] < outcome.verdict.scores["before"]["loss"]
    adapter = locate("letters")
    assert adapter == outcome.adapter
    assert adapter.scores == outcome.verdict.scores
    assert len({path.stat().st_mode for path in adapter.directory.iterdir()}) == 1
    assert adapter.recipe["data"] == {"train": ["train.jsonl"], "eval_share": 0.1}
    assert str(tmp_path) not in (adapter.directory / "manifest.json").read_text()
    assert sorted(path.name for path in home.glob("*")) == [".runs", "letters"]
    assert list((home / ".runs").iterdir()) == []
    generator = load_generator(model_of(base), "transformers", "cpu", lambda: [adapter])
    asked = [Message("user", "7 h")]
    assert list(generator.stream(asked, GREEDY, "letters")) != list(generator.stream(asked, GREEDY))


def test_report_needs_nothing_beside_itself_and_shows_no_markup_of_the_data(tmp_path: Path, base: Path) -> None:
    rows = questions(60)
    rows[0]["prompt"] = "<script>alert(1)</script>"
    write_rows(tmp_path / "train.jsonl", [{**row, "prompt": f"<b>{row['prompt']}"} for row in rows])
    adapter = trained(tmp_path, base, steps=2).adapter
    page = (adapter.directory / REPORT).read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<b>say" not in page
    assert "&lt;b&gt;" in page
    assert "Not passed" in page
    told = json.loads((adapter.directory / "report.json").read_text())
    assert len(told["rows"]) == told["data"]["held_out"]
    assert str(tmp_path) not in json.dumps(told) + page
    assert [entry["step"] for entry in told["history"] if "loss" in entry] == [1, 2]


def test_adapter_that_fails_is_kept_but_not_offered_until_it_is_accepted(tmp_path: Path, base: Path) -> None:
    outcome = trained(tmp_path, base, steps=2)
    assert not outcome.verdict.passed
    model = model_of(base)
    assert [adapter.name for adapter in installed()] == ["grounded", "letters"]  # one is shipped
    assert offered(model) == []
    generator = load_generator(model, "transformers", "cpu", lambda: offered(model))
    with pytest.raises(ModelError, match=r"did not pass the checks after its training: read .*report\.html"):
        generator.stream([Message("user", "x")], GREEDY, "letters")
    command = CliRunner()
    listed = json.loads(command.invoke(adapters_command.app, ["list", "--json"]).stdout)
    assert ("letters", False) in [(one["name"], one["offered"]) for one in listed["adapters"]]
    assert command.invoke(adapters_command.app, ["accept", "letters"]).exit_code == 0
    assert generator.adapters == ("letters",)
    assert list(generator.stream([Message("user", "x")], GREEDY, "letters"))
    assert json.loads(command.invoke(adapters_command.app, ["show", "letters", "--json"]).stdout)["accepted"]
    assert command.invoke(adapters_command.app, ["remove", "letters"]).exit_code == 0
    assert generator.adapters == ()


def test_name_that_is_taken_is_kept_unless_told(tmp_path: Path, base: Path) -> None:
    first = trained(tmp_path, base, steps=2).adapter
    with pytest.raises(ConfigError, match=r"there is an adapter 'letters' already.*--overwrite"):
        trained(tmp_path, base, steps=2)
    assert locate("letters") == first
    second = trained(tmp_path, base, steps=3, overwrite=True).adapter
    assert locate("letters") == second != first


def test_interrupted_run_is_kept_unless_told(tmp_path: Path, base: Path, home: Path) -> None:
    path = write_config(tmp_path, base, steps=4, checkpoint_every=1)
    with pytest.raises(ConfigError, match="no checkpoint of 'letters' to resume from"):
        run.run(set_up(read(path), skip_bad_rows=False), resume=True, overwrite=False)
    outcome = trained(tmp_path, base, steps=4, checkpoint_every=1)
    expected = (outcome.adapter.directory / "adapter_model.safetensors").read_bytes()
    # What a crash during the gate leaves behind: the run's directory, with its checkpoints.
    setup = set_up(read(path), skip_bad_rows=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "judge", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.run(setup, resume=False, overwrite=True)
    assert (home / ".runs" / "letters" / "checkpoints" / "checkpoint-4").is_dir()
    with pytest.raises(ConfigError, match=r"already"):
        run.run(setup, resume=False, overwrite=False)
    CliRunner().invoke(adapters_command.app, ["remove", "letters"])
    with pytest.raises(ConfigError, match=r"an interrupted run 'letters' is at checkpoint-4; go on with --resume"):
        run.run(setup, resume=False, overwrite=False)
    other = set_up(read(write_config(tmp_path, base, steps=5, checkpoint_every=1)), skip_bad_rows=False)
    with pytest.raises(ConfigError, match=r"had other settings: steps\."):
        run.run(other, resume=True, overwrite=False)
    resumed = run.run(setup, resume=True, overwrite=False)
    assert resumed is not None
    assert (resumed.adapter.directory / "adapter_model.safetensors").read_bytes() == expected


def test_bad_rows_stop_the_run_unless_told(tmp_path: Path, base: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [*questions(40), {"prompt": "x"}, {"prompt": "y " * 400, "completion": "z"}])
    path = write_config(tmp_path, base)
    with pytest.raises(InputError, match="2 rows cannot be used") as caught:
        set_up(read(path), skip_bad_rows=False)
    assert "train.jsonl, line 41: has 'prompt'" in str(caught.value)
    assert "train.jsonl, line 42: needs" in str(caught.value)
    data = set_up(read(path), skip_bad_rows=True).data
    assert (len(data.train) + len(data.held_out), len(data.bad)) == (40, 2)


def test_held_out_rows_ask_nothing_that_is_trained_on(
    tmp_path: Path, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path / "train.jsonl", [*questions(40), *questions(40)])
    data = set_up(read(write_config(tmp_path, base)), skip_bad_rows=False).data
    assert len(data.held_out) == 10
    assert not data.leaks
    assert "35 rows repeat others, for example train.jsonl, line" in caplog.text
    write_rows(tmp_path / "dev.jsonl", questions(3))
    data = set_up(
        read(write_config(tmp_path, base, data={"train": "train.jsonl", "eval": "dev.jsonl"})), skip_bad_rows=False
    ).data
    assert len(data.leaks) == 3
    assert "3 held-out rows ask what a training row asks" in caplog.text


def test_resumed_run_must_hold_out_the_same_rows(tmp_path: Path, base: Path, home: Path) -> None:
    setup = set_up(read(write_config(tmp_path, base, steps=2)), skip_bad_rows=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "judge", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.run(setup, resume=False, overwrite=False)
    other = write_config(tmp_path, base, steps=2, data={"train": "train.jsonl", "eval_share": 0.4})
    with pytest.raises(ConfigError, match=r"had other settings: rows\."):
        run.run(set_up(read(other), skip_bad_rows=False), resume=True, overwrite=False)
    assert (home / ".runs" / "letters").is_dir()


def test_run_that_stopped_by_itself_trains_no_further_when_it_is_resumed(tmp_path: Path, base: Path) -> None:
    settings: dict[str, Any] = {"steps": 60, "learning_rate": 0.3, "schedule": "constant"}
    settings |= {"eval_every": 1, "early_stopping": 2}
    expected = trained(tmp_path, base, **settings).adapter
    weights = (expected.directory / "adapter_model.safetensors").read_bytes()
    setup = set_up(read(write_config(tmp_path, base, **settings)), skip_bad_rows=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "judge", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.run(setup, resume=False, overwrite=True)
    resumed = run.run(setup, resume=True, overwrite=True)
    assert resumed is not None
    assert resumed.fitted.tokens == 0
    assert (resumed.adapter.directory / "adapter_model.safetensors").read_bytes() == weights


def test_text_for_forgetting_is_read_before_anything_is_trained(tmp_path: Path, base: Path) -> None:
    (tmp_path / "general.txt").write_bytes(b"\xff\xfe")
    path = write_config(tmp_path, base, gate={"general": "general.txt"})
    with pytest.raises(ConfigError, match=r"gate\.general: .* cannot be read as UTF-8"):
        set_up(read(path), skip_bad_rows=False)


def test_few_rows_are_warned_about_before_training(
    tmp_path: Path, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path / "train.jsonl", questions(12))
    data = set_up(read(write_config(tmp_path, base)), skip_bad_rows=False).data
    assert (len(data.train), len(data.held_out)) == (6, 6)
    assert "6 held-out rows are too few" in caplog.text
    write_rows(tmp_path / "train.jsonl", questions(40))
    assert len(set_up(read(write_config(tmp_path, base)), skip_bad_rows=False).data.held_out) == 10


def test_expected_answers_must_be_such_as_can_be_scored(tmp_path: Path, base: Path) -> None:
    (tmp_path / "s.json").write_text("{}")
    path = write_config(tmp_path, base, gate={"score": "json_schema", "schema": "s.json"})
    with pytest.raises(InputError, match="the expected answer cannot be scored"):
        set_up(read(path), skip_bad_rows=False)


def test_longer_rows_than_the_model_reads_are_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ConfigError, match="max_length: 4096 tokens, but 'tiny' reads 512"):
        set_up(read(write_config(tmp_path, base, max_length=4096)), skip_bad_rows=False)


def test_dry_run_says_what_would_be_trained_and_trains_nothing(tmp_path: Path, base: Path, home: Path) -> None:
    path = write_config(tmp_path, base)
    result = CliRunner().invoke(app, ["--config", str(path), "--dry-run", "--json"], catch_exceptions=False)
    facts = json.loads(result.stdout)
    assert (facts["rows"], facts["held_out_rows"], facts["steps"]) == (50, 10, 6)
    assert facts["trained_tokens"] > facts["learnt_tokens"] > 0
    assert facts["peak_memory_mib"] > 0
    shown = CliRunner().invoke(app, ["--config", str(path), "--dry-run"], catch_exceptions=False).stdout
    assert "<|im_start|>assistant" in shown
    assert not home.exists()


def test_schema_is_printed() -> None:
    assert json.loads(CliRunner().invoke(app, ["--schema"]).stdout)["title"] == "TrainConfig"


def test_exported_model_answers_as_base_and_adapter_do(tmp_path: Path, base: Path) -> None:
    adapter = trained(tmp_path, base, **LEARNS).adapter
    model = model_of(base)
    assert export.export(adapter, model, tmp_path / "merged") < export.TOLERANCE
    merged = load_generator(locate_model(str(tmp_path / "merged"), "generator"), "transformers", "cpu")
    generator = load_generator(model, "transformers", "cpu", lambda: [adapter])
    for question in ("7 h", "say say 3 d"):
        asked = [Message("user", question)]
        assert [t.id for t in merged.stream(asked, GREEDY)] == [
            t.id for t in generator.stream(asked, GREEDY, "letters")
        ]
    with pytest.raises(InputError, match="is not empty"):
        export.export(adapter, model, tmp_path / "merged")


def test_adapter_on_another_base_is_refused_by_name(tmp_path: Path, base: Path) -> None:
    adapter = trained(tmp_path, base, steps=2).adapter
    other = model_of(write_tiny_generator(tmp_path / "other", seed=1))
    assert offered(other) == []
    with pytest.raises(ModelError, match=r"it was trained on 'tiny' with weights \w+, this is 'other'"):
        export.export(adapter, other, tmp_path / "merged")


def test_run_goes_on_from_an_adapter(tmp_path: Path, base: Path) -> None:
    first = trained(tmp_path, base, **LEARNS)
    again = trained(tmp_path, base, **LEARNS | {"name": "more", "start": "letters", "steps": 2})
    fresh = trained(tmp_path, base, **LEARNS | {"name": "fresh", "steps": 2})
    reached = first.verdict.scores["after"]["loss"]
    assert again.verdict.scores["after"]["loss"] < (reached + fresh.verdict.scores["after"]["loss"]) / 2
    assert again.adapter.recipe["start"] == "letters"
    assert "start" not in fresh.adapter.recipe


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"r": 8}, r"lora\.r: 8, but the adapter 'letters' to start from has 4"),
        ({"alpha": 16}, r"lora\.alpha: 16"),
        ({"rslora": True}, r"lora\.rslora: True"),
        ({"targets": ["q_proj"]}, r"lora\.targets: the adapter 'letters' to start from changes other modules"),
    ],
)
def test_adapter_of_another_shape_is_no_start(tmp_path: Path, base: Path, lora: dict[str, Any], said: str) -> None:
    trained(tmp_path, base, steps=2)
    with pytest.raises(ConfigError, match=said):
        trained(tmp_path, base, name="more", steps=2, start="letters", lora={"r": 4, "alpha": 8} | lora)


def test_adapter_of_another_model_is_no_start(tmp_path: Path, base: Path) -> None:
    trained(tmp_path, base, steps=2)
    other = write_tiny_generator(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="weights"):
        trained(tmp_path, other, name="more", start="letters")
    with pytest.raises(ModelError, match="lettres"):
        trained(tmp_path, base, name="more", start="lettres")
