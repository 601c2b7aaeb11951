"""Documents over HTTP: what goes in is listed, read and taken out, and what cannot go in is named with its reason."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ScriptedGenerator
from tests.serving import BADGES, Live, serving

Parts = list[tuple[str, tuple[str, bytes]]]


def upload(live: Live, *files: tuple[str, bytes], collection: str = "handbook") -> Any:
    parts: Parts = [("files", file) for file in files]
    return live.client.post("/api/documents", data={"collection": collection}, files=parts)


def test_upload_is_found_at_once(live: Live) -> None:
    response = upload(live, ("fire.txt", b"In case of fire, walk to the muster point on the pier."))
    assert response.status_code == 200
    assert response.json()["documents"] == [{"source": "fire.txt", "chunks": 1}]
    hits = live.client.post("/api/search", json={"question": "Where is the muster point?"}).json()["hits"]
    assert hits[0]["source"] == "fire.txt"


def test_upload_makes_the_collection(live: Live) -> None:
    assert upload(live, ("a.md", b"# One\n\nText."), collection="new").json()["collection"] == "new"
    names = [found["name"] for found in live.client.get("/api/collections").json()["collections"]]
    assert names == ["handbook", "new"]


def test_upload_of_several_files_names_what_became_of_each(live: Live) -> None:
    response = upload(live, ("good.md", b"# Good\n\nText."), ("bad.bin", b"\x00\x01\x02"), ("empty.txt", b""))
    assert response.status_code == 200
    found = response.json()
    assert [document["source"] for document in found["documents"]] == ["good.md"]
    reasons = {problem["source"]: problem["error"] for problem in found["errors"]}
    assert "is not a supported format: .bin" in reasons["bad.bin"]
    assert "is empty" in reasons["empty.txt"]


def test_upload_of_nothing_readable_is_refused_with_the_reasons(live: Live) -> None:
    response = upload(live, ("bad.bin", b"\x00\x01\x02"))
    assert response.status_code == 422
    assert "is not a supported format" in response.json()["error"]["message"]
    assert response.json()["errors"][0]["source"] == "bad.bin"


def test_upload_takes_the_place_of_what_had_its_name(live: Live) -> None:
    upload(live, ("badges.md", b"# Badges\n\nNow they are free."))
    listed = live.client.get("/api/documents").json()
    assert [document["source"] for document in listed["documents"]] == ["badges.md", "leave.md"]
    hits = live.client.post("/api/search", json={"question": "badges free"}).json()["hits"]
    assert "Now they are free." in hits[0]["text"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("../../etc/passwd.txt", "etc/passwd.txt"),
        ("/abs/a.txt", "abs/a.txt"),
        ("..\\..\\win.txt", "win.txt"),
        ("C:\\x\\y.txt", "y.txt"),
        ("folder/./a.txt", "folder/a.txt"),
    ],
)
def test_upload_name_leads_nowhere(live: Live, tmp_path: Path, name: str, source: str) -> None:
    before = sorted(path for path in tmp_path.rglob("*.txt"))
    assert upload(live, (name, b"Some text.")).json()["documents"][0]["source"] == source
    assert sorted(path for path in tmp_path.rglob("*.txt")) == before


@pytest.mark.parametrize("name", ["..", "/", "x" * 1001, "a\u202eb.txt", "a%0ab.txt"])
def test_upload_name_that_is_unfit_is_refused(live: Live, name: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="collection"\r\n\r\nhandbook\r\n'
    shown = name.encode().replace(b"%0a", b"\t")
    body += b'--b\r\nContent-Disposition: form-data; name="files"; filename="' + shown + b'"\r\n\r\nText.\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    response = live.client.post("/api/documents", content=body, headers=kind)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_name"


def test_upload_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with serving(tmp_path, max_upload_mb=1) as live:
        response = upload(live, ("big.txt", b"x" * 1_100_000))
        assert response.status_code == 413
        assert "larger than 1 MB" in response.json()["error"]["message"]
        assert upload(live, ("fits.txt", b"word " * 1000)).status_code == 200


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({}, [("files", ("a.txt", b"x"))]),
        ({"collection": "../x"}, [("files", ("a.txt", b"x"))]),
        ({"collection": "handbook"}, [("files", (f"{number}.txt", b"x")) for number in range(101)]),
        ({"collection": "handbook"}, [("other", ("a.txt", b"x"))]),
    ],
)
def test_upload_that_is_incomplete_is_refused(shared_live: Live, data: dict[str, str], files: Parts) -> None:
    response = shared_live.client.post("/api/documents", data=data, files=files)
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nno head\r\n--b--"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="c"\r\n\r\n' + b"x" * 2_000_000,
        ),
    ],
)
def test_upload_that_is_malformed_is_refused(shared_live: Live, kind: str, content: bytes) -> None:
    response = shared_live.client.post("/api/documents", content=content, headers={"Content-Type": kind})
    assert response.status_code in (400, 422)
    assert response.json()["error"]["message"]


def test_upload_as_json_is_refused(shared_live: Live) -> None:
    assert shared_live.client.post("/api/documents", json={}).status_code == 415


def test_documents_are_listed_in_pages(live: Live) -> None:
    upload(live, *[(f"notes/{number:02}.txt", b"A note.") for number in range(5)])
    sources: list[str] = []
    after: str | None = ""
    while after is not None:
        page = live.client.get("/api/documents", params={"after": after, "limit": 3, "collection": "handbook"}).json()
        assert page["collection"]["documents"] == 7
        sources += [document["source"] for document in page["documents"]]
        after = page["next"]
    assert sources == ["badges.md", "leave.md", *(f"notes/{number:02}.txt" for number in range(5))]
    found = live.client.get("/api/documents", params={"contains": "LEAVE"}).json()["documents"]
    assert [document["source"] for document in found] == ["leave.md"]
    assert found[0]["chunks"] == 1


def test_document_is_read_in_slices(shared_live: Live) -> None:
    found = shared_live.client.get("/api/documents/handbook/1", params={"start": 10, "end": 69}).json()
    assert found["text"] == BADGES[10:69]
    assert (found["start"], found["end"], found["characters"], found["heading"]) == (10, 69, len(BADGES), "Badges")
    whole = shared_live.client.get("/api/documents/handbook/1").json()
    assert whole["text"] == BADGES
    assert whole["headings"] == [{"start": 0, "level": 1, "title": "Badges"}]
    beyond = shared_live.client.get("/api/documents/handbook/1", params={"start": 10**9}).json()
    assert (beyond["text"], beyond["start"]) == ("", len(BADGES))


def test_slices_count_characters_not_bytes(live: Live) -> None:
    text = "😀 é 中文 the end"
    upload(live, ("wide.txt", text.encode()))
    row = live.client.get("/api/documents", params={"contains": "wide"}).json()["documents"][0]["id"]
    found = live.client.get(f"/api/documents/handbook/{row}", params={"start": 4, "end": 6}).json()
    assert found["text"] == text[4:6] == "中文"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/documents?collection=none", 404),
        ("GET", "/api/documents/none/1", 404),
        ("GET", "/api/documents/handbook/99", 404),
        ("GET", "/api/documents/handbook/0", 422),
        ("GET", "/api/documents/handbook/99999999999999999999", 422),
        ("GET", "/api/documents/handbook/x", 422),
        ("GET", "/api/documents/handbook/1?start=5&end=4", 422),
        ("GET", "/api/documents/handbook/1?start=0&end=-1", 422),
        ("GET", "/api/documents?limit=501", 422),
        ("DELETE", "/api/documents/handbook/99", 404),
        ("DELETE", "/api/documents/none/1", 404),
        ("DELETE", "/api/collections/none", 404),
        ("GET", "/api/documents/..%2f..%2fetc/1", 404),
    ],
)
def test_what_does_not_exist_is_404_and_nonsense_422(shared_live: Live, method: str, path: str, status: int) -> None:
    response = shared_live.client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_slice_has_an_upper_bound(live: Live) -> None:
    upload(live, ("long.txt", b"word " * 5000))
    row = live.client.get("/api/documents", params={"contains": "long"}).json()["documents"][0]["id"]
    assert live.client.get(f"/api/documents/handbook/{row}", params={"end": 20_001}).status_code == 422
    assert len(live.client.get(f"/api/documents/handbook/{row}", params={"end": 20_000}).json()["text"]) == 20_000
    assert len(live.client.get(f"/api/documents/handbook/{row}").json()["text"]) == 4_000


def test_deleted_document_is_found_no_more(live: Live) -> None:
    assert live.client.delete("/api/documents/handbook/1").status_code == 204
    assert live.client.delete("/api/documents/handbook/1").status_code == 404
    hits = live.client.post("/api/search", json={"question": "lost badge"}).json()["hits"]
    assert [hit["source"] for hit in hits] == ["leave.md"]


def test_collections_are_made_and_deleted(live: Live) -> None:
    assert live.client.post("/api/collections", json={"name": "empty"}).status_code == 201
    again = live.client.post("/api/collections", json={"name": "handbook"})
    assert (again.status_code, again.json()["documents"]) == (201, 2)
    assert live.client.delete("/api/collections/handbook").status_code == 204
    assert [found["name"] for found in live.client.get("/api/collections").json()["collections"]] == ["empty"]
    assert live.client.get("/api/documents").status_code == 404


@pytest.mark.parametrize("name", ["", "A", "../x", "a b", "a/b", "x" * 65])
def test_collection_names_are_checked(shared_live: Live, name: str) -> None:
    assert shared_live.client.post("/api/collections", json={"name": name}).status_code == 422


def test_about_names_what_there_is(shared_live: Live) -> None:
    found = shared_live.client.get("/api/about").json()
    assert found == {
        "generator": "scripted",
        "engine": "script",
        "embedder": "hash",
        "adapters": ["house-style"],
        "adapter_for_passages": None,
        "collection": "handbook",
        "max_upload_mb": 100,
        "user": "operator",
        "is_admin": True,
        "collections": [
            {
                "name": "handbook",
                "documents": 2,
                "chunks": 2,
                "embedder": "hash",
                "settings": {},
                "level": "manage",
            }
        ],
    }


def test_a_cited_place_is_read_back_exactly(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedGenerator(["The end is near [1]."])) as live:
        upload(live, ("emoji.md", "# 😀😀\n\nThe 中文 end is near. More text.".encode()), collection="emoji")
        body = {"question": "When is the end?", "collection": "emoji"}
        (citation,) = live.client.post("/api/ask", json=body).json()["citations"]
        place = {"start": citation["start"], "end": citation["end"]}
        found = live.client.get(f"/api/documents/emoji/{citation['document_id']}", params=place).json()
    assert found["text"] == citation["quote"] == "The 中文 end is near."
