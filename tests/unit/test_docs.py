"""What the documentation says of settings is what the code does."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from finetune.config import DataSettings, GateSettings, TrainConfig
from rag.config import Settings

ROOT = Path(__file__).parents[2]


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, BaseModel):
            found |= settings(type(default), f"{prefix}{name}.")
        else:
            found[prefix + name] = default
    return found


def test_settings_page_lists_every_setting_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    defaults = settings()
    assert rows.keys() == defaults.keys()
    del defaults["data_dir"]
    assert {name: rows[name] for name in defaults} == {
        name: str(value).removesuffix(".0") for name, value in defaults.items()
    }


def test_finetuning_page_names_every_setting_of_a_run() -> None:
    page = (ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+)`", page))
    data = {f"data.{name}" for name in DataSettings.model_fields}
    gate = {f"gate.{name}" for name in GateSettings.model_fields if name != "schema_file"}
    others = {name for name in settings(TrainConfig) if name != "data" and not name.startswith("gate.")}
    needed = {"gate.pattern", "gate.database"}  # named in the table of scores
    assert data | others | gate - needed | {"schema", "pattern", "database"} <= named


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_pages_link_to_what_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
