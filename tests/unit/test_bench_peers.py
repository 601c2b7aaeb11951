"""What passes between the benchmarks and the systems that they compare."""

from pathlib import Path

import pytest

from scripts.bench.peers.contract import Corpus, Text, unread


@pytest.mark.parametrize(("title", "text", "content"), [("A", "b", "A\nb"), ("A", "", "A"), ("", "b", "b")])
def test_content_joins_title_and_text(title: str, text: str, content: str) -> None:
    assert Text("1", title, text).content == content


def test_corpus_comes_back_as_it_was_written(tmp_path: Path) -> None:
    corpus = Corpus([Text("1", "Über", "alles"), Text("2", "", "x")], {"q": "what?"})
    corpus.write(tmp_path / "corpus.json")
    assert Corpus.read(tmp_path / "corpus.json") == corpus


def test_unread_names_the_files_of_which_nothing_came(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt", "c.txt"):
        (tmp_path / name).write_text("x")
    assert unread(tmp_path, [tmp_path / "a.txt", str(tmp_path / "c.txt")]) == ["sub/b.txt"]
