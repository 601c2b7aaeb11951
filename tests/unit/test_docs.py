"""What the documentation says of settings is what the code does."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

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


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_pages_link_to_what_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
