"""Settings come from flags, then the environment, then the file; every mistake is named with its line."""

from pathlib import Path

import pytest

from models.base import ConfigError
from rag.config import load
from rag.serve import _watched


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_load_prefers_flags_to_environment_to_file(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "collection: from-file\nanswer:\n  passages: 3\n  max_tokens: 30\n")
    environment = {"HOMEGROUND_ANSWER__PASSAGES": "5", "HOMEGROUND_COLLECTION": "from-env", "OTHER": "x"}
    settings = load(file, environment, collection="from-flag", data_dir=tmp_path, engine=None)
    assert (settings.collection, settings.answer.passages, settings.answer.max_tokens) == ("from-flag", 5, 30)
    assert settings.engine == "auto"


def test_load_reads_the_file_of_the_data_directory(tmp_path: Path) -> None:
    write(tmp_path / "homeground.yaml", "retrieval: {dense_weight: 0.5}\n")
    assert load(None, {}, data_dir=tmp_path).retrieval.dense_weight == 0.5
    assert load(None, {"HOMEGROUND_DATA_DIR": str(tmp_path)}).retrieval.dense_weight == 0.5


def test_load_names_every_mistake_with_its_line(tmp_path: Path) -> None:
    text = "collection: Not A Name\nanswer:\n  passages: 0\n  passage: 3\nserver:\n  port: 99999\n"
    file = write(tmp_path / "s.yaml", text)
    with pytest.raises(ConfigError, match="unknown setting") as caught:
        load(file, {}, data_dir=tmp_path)
    message = str(caught.value)
    assert "line 1: collection" in message
    assert "line 3: answer.passages" in message
    assert "line 4: answer.passage: unknown setting" in message
    assert "line 6: server.port" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [", "is not valid YAML"), ("- a\n- b\n", "must hold `name: value` pairs"), ("!!python/object:x {}", "YAML")],
)
def test_load_refuses_a_file_that_is_no_settings_file(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(write(tmp_path / "s.yaml", text), {}, data_dir=tmp_path)


def test_load_accepts_an_empty_file(tmp_path: Path) -> None:
    assert load(write(tmp_path / "s.yaml", "# nothing\n"), {}, data_dir=tmp_path).collection == "default"


def test_load_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml", {}, data_dir=tmp_path)


def test_load_refuses_an_unknown_variable() -> None:
    with pytest.raises(ConfigError, match="HOMEGROUND_COLECTION names no setting"):
        load(None, {"HOMEGROUND_COLECTION": "x"})


def test_load_makes_the_data_directory_absolute() -> None:
    assert load(None, {}, data_dir=Path("here")).data_dir.is_absolute()


def test_load_reads_watched_folders(tmp_path: Path) -> None:
    text = "watch:\n  - folder: ~/handbook\n    exclude: ['drafts/']\n  - {folder: /srv/b, collection: b}\n"
    first, second = load(write(tmp_path / "s.yaml", text), {}).watch
    assert (first.folder, first.collection, first.exclude) == (Path("~/handbook").expanduser(), None, ["drafts/"])
    assert (second.folder, second.collection, second.include) == (Path("/srv/b"), "b", [])


def test_load_refuses_a_watched_folder_with_a_pattern_that_means_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "watch:\n  - folder: /srv/a\n    include: ['']\n")
    with pytest.raises(ConfigError, match=r"line 2.*'' is no pattern for files"):
        load(file, {})


@pytest.mark.parametrize(
    ("text", "watched"),
    [
        ("/srv/a", {"folder": "/srv/a"}),
        ("/srv/a=handbook", {"folder": "/srv/a", "collection": "handbook"}),
        ("/srv/a=b=c", {"folder": "/srv/a=b", "collection": "c"}),
        ("/srv/year=2024/Notes", {"folder": "/srv/year=2024/Notes"}),
    ],
)
def test_watch_option_takes_a_folder_and_a_collection(text: str, watched: dict[str, str]) -> None:
    assert _watched(text) == watched
