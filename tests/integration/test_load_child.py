"""The reading process: limits, crashes, and the order of what it gives back."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from models.base import InputError
from rag.load import Limits, Outcome, Parsed, Parser, SourceFile, find_files

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
SLOW = b"# Heading\n\ntext\n\n" * 300_000
"""Minutes of work for the Markdown reader."""


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as opened:
        yield opened


def write(folder: Path, name: str, data: bytes) -> SourceFile:
    path = folder / name
    path.write_bytes(data)
    return SourceFile(path, name)


def process_id(parser: Parser) -> int:
    (child,) = parser._children.values()
    return child._process.pid


def result_of(outcome: Outcome) -> str:
    return outcome.result.document.text if isinstance(outcome.result, Parsed) else f"error: {outcome.result}"


def test_parse_gives_a_whole_document(parser: Parser, tmp_path: Path) -> None:
    data = b"---\nteam: red\n---\n# Title\n\nText, t\xc3\xa9xt.\n"
    path = tmp_path / "page.md"
    path.write_bytes(data)
    os.utime(path, (1, 1_700_000_000.5))
    document = parser.parse(path, "wiki/page.md").document
    assert (document.source, document.text) == ("wiki/page.md", "# Title\n\nText, téxt.\n")
    assert (document.title, document.media_type) == ("Title", "text/markdown")
    assert [(heading.start, heading.level, heading.title) for heading in document.headings] == [(0, 1, "Title")]
    assert dict(document.metadata) == {"team": "red"}
    assert document.sha256 == hashlib.sha256(data).hexdigest()
    assert document.modified == 1_700_000_000.5
    assert document.origin == str(path)


def test_parse_bytes_reads_like_a_file(parser: Parser) -> None:
    document = parser.parse_bytes(b"plain", "notes.txt", modified=7.5).document
    assert (document.text, document.title, document.modified) == ("plain", "notes.txt", 7.5)
    assert (document.sha256, document.origin) == (hashlib.sha256(b"plain").hexdigest(), "")


def test_parse_hands_on_warnings(parser: Parser) -> None:
    assert "guess" in parser.parse_bytes("Größe und Länge".encode("cp1252"), "a.txt").warnings[0]


def test_parse_carries_text_that_is_hard_to_carry(parser: Parser) -> None:
    text = '"\\\u2028𝄞\t end' * 100_000 + "\x00"
    assert parser.parse_bytes(text.encode(), "a.txt").document.text == text.replace("\x00", "")


def test_parse_names_the_source_in_errors(parser: Parser, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^kb/a\.txt is not there any more"):
        parser.parse(tmp_path / "a.txt", "kb/a.txt")
    with pytest.raises(InputError, match=r"^up\.bin is not a supported format: \.bin"):
        parser.parse_bytes(b"\0\1\2", "up.bin")


def test_parse_refuses_a_pdf_without_text(parser: Parser, tmp_path: Path) -> None:
    document = pdfium.PdfDocument.new()
    document.new_page(100, 100)
    document.save(tmp_path / "blank.pdf")
    document.close()
    with pytest.raises(InputError, match="holds no text"):
        parser.parse(tmp_path / "blank.pdf", "blank.pdf")


@posix
def test_parse_does_not_wait_for_a_pipe(parser: Parser, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        parser.parse(tmp_path / "pipe.txt", "pipe.txt")


def test_parse_many_keeps_the_order_and_passes_outcomes_on(parser: Parser, tmp_path: Path) -> None:
    files: list[SourceFile | Outcome] = [write(tmp_path, f"{i}.txt", f"text {i}".encode()) for i in range(100)]
    files[50] = Outcome("bad", InputError("is bad."))
    results = [result_of(outcome) for outcome in parser.parse_many(files)]
    assert results == [f"text {i}" if i != 50 else "error: is bad." for i in range(100)]


def test_parse_many_carries_answers_larger_than_a_pipe(parser: Parser, tmp_path: Path) -> None:
    texts = [str(i) * 300_000 for i in range(9)]
    files = [write(tmp_path, f"{i}.txt", text.encode()) for i, text in enumerate(texts)]
    assert [result_of(outcome) for outcome in parser.parse_many(files)] == texts


def test_parse_many_carries_names_that_fill_a_pipe(parser: Parser, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["é" * 100] * 8)
    folder.mkdir(parents=True)
    for i in range(60):
        write(folder, f"{i:02}.txt", b"text")
    assert sum(isinstance(outcome.result, Parsed) for outcome in parser.parse_many(find_files([tmp_path]))) == 60


def test_parse_many_with_several_workers_keeps_the_order(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{number:02}.txt", b"x" * 100_000 + b"%d" % number) for number in range(40)]
    failed = Outcome("none.txt", InputError("is not there."))
    with Parser(workers=3) as parser:
        outcomes = list(parser.parse_many([*files[:20], failed, *files[20:]]))
        assert len({child._process.pid for child in parser._children.values()}) == 3
    assert [outcome.source for outcome in outcomes if outcome is not failed] == [file.source for file in files]
    assert outcomes[20] is failed


@posix
def test_parse_many_with_several_workers_loses_only_the_file_that_crashed_one(tmp_path: Path) -> None:
    texts = {f"{number}.txt": b"%d" % number for number in range(6)}
    texts["1.md"] = SLOW
    files = [write(tmp_path, name, data) for name, data in sorted(texts.items())]
    with Parser(workers=2) as parser:
        outcomes = parser.parse_many(files)
        assert result_of(next(outcomes)) == "0"
        os.kill(parser._children[1]._process.pid, signal.SIGSEGV)
        assert "SIGSEGV" in result_of(next(outcomes))
        assert [result_of(outcome) for outcome in outcomes] == ["1", "2", "3", "4", "5"]


def test_parse_many_given_up_half_way_leaves_the_parser_usable(parser: Parser, tmp_path: Path) -> None:
    outcomes = parser.parse_many(write(tmp_path, f"{i}.txt", b"old") for i in range(10))
    assert result_of(next(outcomes)) == "old"
    with pytest.raises(ValueError, match="still reading other files"):
        parser.parse_bytes(b"x", "x.txt")
    outcomes.close()  # type: ignore[attr-defined]  # it is a generator
    assert parser.parse_bytes(b"new", "x.txt").document.text == "new"


def test_parse_many_interrupted_by_its_input_does_not_mix_up_answers(parser: Parser, tmp_path: Path) -> None:
    def files() -> Iterator[SourceFile]:
        yield write(tmp_path, "0.txt", b"old")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        list(parser.parse_many(files()))
    assert parser.parse_bytes(b"new", "x.txt").document.text == "new"


def test_parser_refuses_files_beyond_the_limits(tmp_path: Path) -> None:
    with Parser(Limits(input_bytes=1000, characters=100)) as parser:
        with pytest.raises(InputError, match=r"too large: 0\.0 MB, and the limit is 0\.001 MB"):
            parser.parse_bytes(bytes(1001), "a.txt")
        with pytest.raises(InputError, match="too large"):
            parser.parse(write(tmp_path, "a.txt", bytes(1001)).path, "a.txt")
        with pytest.raises(InputError, match="holds 101 characters of text, and the limit is 100"):
            parser.parse_bytes(b"a" * 101, "a.txt")
        assert parser.parse_bytes(b"a" * 100, "a.txt").document.text


@posix
def test_parser_gives_up_a_file_that_takes_too_long_and_reads_the_next(tmp_path: Path) -> None:
    files = [write(tmp_path, "a.txt", b"a"), write(tmp_path, "slow.md", SLOW), write(tmp_path, "b.txt", b"b")]
    with Parser(Limits(seconds=1)) as parser:
        results = [result_of(outcome) for outcome in parser.parse_many(files)]
    assert results == ["a", "error: takes longer to read than the limit of 1 s.", "b"]


@posix
def test_parser_gives_up_a_process_that_stands_still() -> None:
    with Parser(Limits(seconds=1)) as parser:
        parser.parse_bytes(b"x", "x.txt")
        os.kill(process_id(parser), signal.SIGSTOP)
        with pytest.raises(InputError, match="takes longer to read than the limit of 1 s"):
            parser.parse_bytes(b"x", "x.txt")
        assert parser.parse_bytes(b"y", "y.txt").document.text == "y"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_parser_refuses_a_file_that_needs_too_much_memory() -> None:
    with Parser(Limits(memory_bytes=256 << 20)) as parser:
        with pytest.raises(InputError, match="needs more than 256 MiB of memory"):
            parser.parse_bytes(SLOW, "a.md")
        assert parser.parse_bytes(b"x", "x.txt").document.text == "x"


@posix
def test_parser_survives_a_crash_and_blames_the_file_at_hand(tmp_path: Path) -> None:
    files = [write(tmp_path, "a.txt", b"a"), write(tmp_path, "slow.md", SLOW), write(tmp_path, "b.txt", b"b")]
    with Parser() as parser:
        outcomes = parser.parse_many(files)
        assert result_of(next(outcomes)) == "a"
        os.kill(process_id(parser), signal.SIGSEGV)
        assert "stopped the process that reads files (SIGSEGV)" in result_of(next(outcomes))
        assert result_of(next(outcomes)) == "b"


@posix
def test_parser_replaces_a_process_that_died_between_files() -> None:
    with Parser() as parser:
        parser.parse_bytes(b"x", "x.txt")
        process = process_id(parser)
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        assert parser.parse_bytes(b"y", "y.txt").document.text == "y"


def test_child_starts_without_torch() -> None:
    code = "import sys, rag.load.child; print({'torch', 'transformers', 'faiss'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
