"""The catalog: what is in it, and that a wrong one is refused with every problem named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import catalog
from models.base import ConfigError
from models.catalog import HubSource, WheelSource

PERMISSIVE = {"Apache-2.0", "MIT"}

ENTRY = """
[defaults]
embedder = "{default}"

[models."small"]
role = "embedder"
title = "Small"
description = "Small."
licence = "MIT"
context_length = {context}
parameters = 1
memory_gib = {{ fp32 = 1, bf16 = 1 }}
source = {{ kind = "hub", repository = "somebody/small" }}
{more}
"""


def write(path: Path, default: str = "small", context: str = "8", more: str = "") -> Path:
    path.write_text(ENTRY.format(default=default, context=context, more=more))
    return path


def test_catalog_names_a_default_embedder_and_generator_from_wheels() -> None:
    known = catalog.load()
    assert known.defaults == {"embedder": "all-minilm-l6-v2", "generator": "smollm2-135m-instruct"}
    assert all(isinstance(known.models[name].source, WheelSource) for name in known.defaults.values())


def test_catalog_offers_better_models_for_every_role() -> None:
    from_a_hub = [entry.role for entry in catalog.load().models.values() if isinstance(entry.source, HubSource)]
    assert from_a_hub.count("generator") >= 4
    assert from_a_hub.count("embedder") >= 2
    assert from_a_hub.count("reranker") >= 1


def test_catalog_has_only_permissive_licences_and_plausible_memory() -> None:
    for name, entry in catalog.load().models.items():
        assert entry.licence in PERMISSIVE, name
        assert entry.memory_gib.fp32 >= 4 * entry.parameters / 2**30 * 0.95, name
        assert entry.memory_gib.bf16 >= 2 * entry.parameters / 2**30 * 0.95, name


def test_catalog_keeps_a_licence_beside_every_wheel_s_weights() -> None:
    for entry in catalog.load().models.values():
        if isinstance(entry.source, WheelSource):
            assert any(file.path.startswith("LICENSE") for file in entry.source.files)


def test_catalog_file_of_one_s_own_is_read(tmp_path: Path) -> None:
    entry = catalog.load(write(tmp_path / "c.toml")).models["small"]
    assert isinstance(entry.source, HubSource)
    assert (entry.source.repository, entry.source.revision) == ("somebody/small", "main")


def test_catalog_lists_every_problem_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "c.toml", context="0", more="weight = 3")
    with pytest.raises(ConfigError, match="not valid") as error:
        catalog.load(path)
    assert re.search(r"small\.context_length.*small\.weight", str(error.value))


@pytest.mark.parametrize("member", ["../evil", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_catalog_refuses_paths_that_lead_outside(tmp_path: Path, member: str) -> None:
    source = f"""
[models.wheeled]
role = "generator"
title = "W"
description = "W"
licence = "MIT"
context_length = 8
parameters = 1
memory_gib = {{ fp32 = 1, bf16 = 1 }}
[models.wheeled.source]
kind = "wheel"
project = "p"
version = "1"
size = 1
sha256 = "{"0" * 64}"
files = [{{ member = "a", path = '{member}', sha256 = "{"0" * 64}" }}]
"""
    with pytest.raises(ConfigError, match=r"wheeled\.source\.wheel\.files\.0\.path"):
        catalog.load(write(tmp_path / "c.toml", more=source))


def test_catalog_refuses_a_default_that_is_no_entry(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="default embedder 'large' is not"):
        catalog.load(write(tmp_path / "c.toml", default="large"))


@pytest.mark.parametrize("name", ["../x", "A", "-a", "a b", "x" * 65])
def test_catalog_refuses_names_that_could_be_paths(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(write(path).read_text().replace('models."small"', f'models."{name}"'))
    with pytest.raises(ConfigError, match="not valid"):
        catalog.load(path)


def test_catalog_that_is_missing_or_not_toml_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        catalog.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(ConfigError, match="cannot be read"):
        catalog.load(tmp_path / "bad.toml")
