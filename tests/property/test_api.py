"""No input gives a 500: whatever JSON is sent, the answer is an answer or a refusal that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving import Live, serving

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=40)
    | st.sampled_from(["scripted", "scripted@handbook", "handbook", "hash", "lost badge", "\ud800", "*" * 9, "base64"])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner)
)


def near(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with these fields, each now and then replaced by anything."""
    return st.fixed_dictionaries({}, optional={name: field | anything for name, field in fields.items()})


questions = st.sampled_from(["lost badge", "annual leave", ""])
where = near(
    source=st.just("*.md"), media_type=st.just("text/markdown"), modified_from=st.just(0), metadata=near(a=scalars)
)
turn = near(role=st.sampled_from(["system", "user", "assistant"]), content=questions)
BODIES = {
    "/api/search": near(question=questions, collection=st.just("handbook"), k=st.integers(1, 5), where=where),
    "/api/ask": near(
        question=questions,
        collection=st.just("handbook"),
        adapter=st.just("house-style"),
        history=st.lists(turn, max_size=2),
        where=where,
        stream=st.booleans(),
        max_tokens=st.integers(1, 5),
        temperature=st.floats(0, 2),
        top_p=st.floats(0, 1),
        seed=st.integers(),
    ),
    "/v1/chat/completions": near(
        model=st.just("scripted@handbook"),
        messages=st.lists(turn, min_size=1, max_size=2),
        stream=st.booleans(),
        max_tokens=st.integers(1, 5),
        stop=questions,
        n=st.just(1),
        tools=st.just([]),
    ),
    "/v1/embeddings": near(model=st.just("hash"), input=questions | st.lists(questions, max_size=2)),
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("api") / "data") as server:
        yield server


@pytest.mark.parametrize("path", BODIES)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_gives_a_500(live: Live, path: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[path])
    response = live.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code in (200, 400, 404, 422)
    assert "the server made a mistake" not in response.text
    if response.status_code != 200:
        assert response.json()["error"]["message"]
