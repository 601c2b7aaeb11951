"""Notebooks: prose, code and what it printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.base import InputError
from rag.load.notebook import read
from rag.load.values import Extracted


def read_cells(*cells: dict[str, Any], **metadata: object) -> Extracted:
    return read(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}).encode(), "a.ipynb")


def code(source: str | list[str], *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs}


def test_notebook_has_prose_code_and_outputs_in_their_order() -> None:
    extracted = read_cells(
        {"cell_type": "markdown", "source": ["# The *title*\n", "\n", "prose"]},
        code(["# no heading\n", "x = 1"], {"output_type": "stream", "name": "stdout", "text": ["1\n", "2\n"]}),
        {"cell_type": "raw", "source": "raw"},
        code("y", {"output_type": "execute_result", "data": {"text/plain": "<b>", "image/png": "iVBO"}}),
        {"cell_type": "markdown", "source": "## End"},
        language_info={"name": "python"},
    )
    assert extracted.text == (
        "# The *title*\n\nprose\n\n```python\n# no heading\nx = 1\n```\n\n```\n1\n2\n```\n\nraw\n\n"
        "```python\ny\n```\n\n```\n<b>\n```\n\n## End"
    )
    assert [(heading.level, heading.title) for heading in extracted.headings] == [(1, "The title"), (2, "End")]
    assert (extracted.title, dict(extracted.metadata)) == ("The title", {"language": "python"})


def test_notebook_leaves_out_pictures_and_the_way_to_an_error() -> None:
    extracted = read_cells(
        code("", {"output_type": "display_data", "data": {"image/png": "iVBO"}}),
        code(
            "1/0", {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "no", "traceback": ["\x1b[31mlong"]}
        ),
    )
    assert extracted.text == "```\n1/0\n```\n\n```\nZeroDivisionError: no\n```"


def test_notebook_cuts_long_outputs_and_takes_colours_off() -> None:
    text = read_cells(code("x", {"output_type": "stream", "text": "\x1b[31mred\x1b[0m " + "y" * 10_000})).text
    assert "red yyy" in text
    assert len(text) < 5000
    assert text.endswith("y\n…\n```")


def test_notebook_fences_are_longer_than_those_in_the_code() -> None:
    assert read_cells(code("```\n# x\n```")).headings == ()


def test_notebook_in_the_older_format_is_read() -> None:
    cells = [{"cell_type": "heading", "level": 2, "source": "Old"}, {"cell_type": "code", "input": "x", "outputs": []}]
    extracted = read(json.dumps({"worksheets": [{"cells": cells}], "metadata": {}}).encode(), "a.ipynb")
    assert extracted.text == "## Old\n\n```\nx\n```"
    assert extracted.headings[0].level == 2


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"cells": [', b'{"cells": [1]}', b'{"cells": [{"source": []}]}'])
def test_notebook_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is damaged, or no notebook"):
        read(data, "a.ipynb")
