"""Datasets in the layout of BEIR: what is read, what is left out and counted, and what is refused with its line."""

import json
from pathlib import Path

import pytest

from models.base import InputError
from rag.evaluate.dataset import read_dataset

CORPUS = [
    {"_id": "a", "title": "Alpha", "text": "The first letter."},
    {"_id": "b", "title": "Beta", "text": " "},
    {"_id": "c", "title": "", "text": ""},
    {"_id": 4, "text": "Delta has no title.", "metadata": {"url": "x"}},
]
QUERIES = [{"_id": "q1", "text": "first?"}, {"_id": "q2", "text": "second?"}, {"_id": "q3", "text": "nothing?"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t1\nq1\tgone\t1\nq2\t4\t1\nq3\ta\t0\n"


def write_dataset(folder: Path, corpus: object = CORPUS, queries: object = QUERIES, qrels: str = QRELS) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)  # type: ignore[attr-defined]
        (folder / name).write_text(lines, encoding="utf-8")
    (folder / "qrels.tsv").write_text(qrels, encoding="utf-8")
    return folder


def test_dataset_is_read_with_grades_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path / "letters"))
    assert dataset.name == "letters"
    assert [(document.source, document.text, document.title) for document in dataset.documents] == [
        ("a", "The first letter.", "Alpha"),
        ("b", "Beta", "Beta"),
        ("4", "Delta has no title.", ""),
    ]
    assert dataset.queries == {"q1": "first?", "q2": "second?"}
    assert dataset.judgements == {"q1": {"a": 2, "b": 1, "gone": 1}, "q2": {"4": 1}}
    assert (dataset.empty, dataset.unjudged, dataset.unknown) == (1, 1, 1)


def test_documents_name_the_corpus_and_the_hash_of_title_and_text(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "letters")
    before = {document.source: document for document in read_dataset(folder).documents}
    changed = [CORPUS[0] | {"title": "Alfa"}, *CORPUS[1:]]
    after = {document.source: document for document in read_dataset(write_dataset(folder, changed)).documents}
    assert before["a"].origin == str(folder / "corpus.jsonl")
    assert before["a"].sha256 != after["a"].sha256
    assert before["b"].sha256 == after["b"].sha256


@pytest.mark.parametrize("header", ["query-id\tcorpus-id\tscore\n", ""])
@pytest.mark.parametrize("place", ["qrels.tsv", "qrels/test.tsv"])
def test_judgements_may_stand_in_either_place_with_or_without_header(tmp_path: Path, place: str, header: str) -> None:
    folder = write_dataset(tmp_path / "d")
    (folder / "qrels.tsv").unlink()
    (folder / "qrels").mkdir()
    (folder / place).write_text(header + "q1\ta\t1\nq2\tb\t3\n")
    assert read_dataset(folder).judgements == {"q1": {"a": 1}, "q2": {"b": 3}}


def test_limit_takes_the_first_queries_and_the_whole_corpus(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path / "d"), limit=1)
    assert list(dataset.queries) == ["q1"]
    assert len(dataset.documents) == 3


def test_every_malformed_line_of_every_file_is_named_at_once(tmp_path: Path) -> None:
    folder = write_dataset(
        tmp_path / "d",
        corpus='{"_id": "a", "text": "x"}\nnot json\n{"text": "no id"}\n{"_id": "a", "text": "again"}\n',
        queries='{"_id": "q1"}\n["q2"]\n',
        qrels="q1\ta\t1\nq1\ta\t2\nq1 a 1\nq1\ta\tgood\n",
    )
    with pytest.raises(InputError, match="Invalid JSON") as caught:
        read_dataset(folder)
    message = str(caught.value)
    for place in (
        "corpus.jsonl, line 2: Invalid JSON",
        "corpus.jsonl, line 3: _id: Field required",
        "corpus.jsonl, line 4: the id 'a' is taken by an earlier line",
        "queries.jsonl, line 1: text: Field required",
        "queries.jsonl, line 2: Input should be an object",
        "qrels.tsv, line 2: document 'a' was given another grade for query 'q1' before",
        "qrels.tsv, line 3: expected a query, a document and a whole number",
        "qrels.tsv, line 4: expected a query, a document and a whole number",
    ):
        assert place in message


def test_only_the_first_problems_are_written_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 20: .*; and 80 more problems") as caught:
        read_dataset(write_dataset(tmp_path / "d", corpus="nonsense\n" * 100))
    assert "line 21:" not in str(caught.value)


def test_text_that_is_no_utf8_is_named_and_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d")
    (folder / "corpus.jsonl").write_bytes(b'\xef\xbb\xbf{"_id": "a", "text": "x"}\n\n{"_id": "b", "text": "\xff"}\n')
    with pytest.raises(InputError, match=r"line 3: is not UTF-8") as caught:
        read_dataset(folder)
    assert "line 1" not in str(caught.value)


def test_missing_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus.jsonl cannot be read.*queries.jsonl cannot be read.*holds neither"):
        read_dataset(tmp_path)


def test_dataset_without_a_relevant_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no query of .* has a relevant document; its 3 queries"):
        read_dataset(write_dataset(tmp_path / "d", qrels="other\ta\t1\n"))
