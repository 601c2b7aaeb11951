"""Whether the benchmarks' systems did the same work, and how what they measured is written down."""

import sys
from pathlib import Path

import pytest

from models.base import InputError
from scripts.bench import tables
from scripts.bench.__main__ import Choices, Section, programs
from scripts.bench.peers import environment
from scripts.bench.peers.answering import Work
from scripts.bench.peers.gguf import gguf
from scripts.bench.sameness import Answered, differences, holds


def answered(prompt_tokens: int = 800, new_tokens: int = 48, *, has_evidence: bool = True) -> Answered:
    return Answered(prompt_tokens, new_tokens, has_evidence, first_token_s=1.0, total_s=2.0, processor_s=3.0)


def test_equal_work_differs_in_nothing() -> None:
    told = differences({"ours": [answered(800), answered(820)], "theirs": [answered(740), answered(780)]}, "ours", 48)
    assert told == {"ours": [], "theirs": []}


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ([answered(new_tokens=47), answered()], "1 of 2 answers have not 48 tokens"),
        ([answered(600), answered(600)], "its prompts have 600 tokens, 800 with ours (medians)"),
        ([answered(has_evidence=False), answered()], "it reads the evidence for 50% of the questions, ours for 100%"),
    ],
)
def test_other_work_is_told_by_its_difference(theirs: list[Answered], said: str) -> None:
    told = differences({"ours": [answered(), answered()], "theirs": theirs}, "ours", 48)
    assert told == {"ours": [], "theirs": [said]}


@pytest.mark.parametrize(
    ("passage", "found"),
    [
        ("Rule: **five** days of leave are paid.", True),
        ("... five days of", True),
        ("leave are paid, others are not", True),
        ("Ten days of leave are not paid.", False),
        ("of leave", False),
    ],
)
def test_passage_holds_a_quote_that_is_cut_in_two(passage: str, found: bool) -> None:
    assert holds(passage, "Five days of leave are paid") is found


def test_work_comes_back_as_it_was_written(tmp_path: Path) -> None:
    work = Work([("a", "Über", "alles")], "embedder", "generator", "file", "llama.cpp", "Answer.", 240, 3, 48, 2)
    work.write(tmp_path / "work.json")
    assert Work.read(tmp_path / "work.json") == work


def test_template_has_the_names_that_a_peer_fills_in() -> None:
    work = Work([], "embedder", "generator", "file", "llama.cpp", "Answer.", 240, 3, 48, 2)
    assert work.template("{context_str}", "{query_str}") == "Answer.\n\n{context_str}\n\nQuestion: {query_str}"


def test_spread_is_told_where_there_are_several_figures() -> None:
    assert tables.spread([3.0]) == "3"
    assert tables.spread([1.0, 4.0, 2.5]) == "2.5 (1 to 4)"


def test_answers_table_names_what_was_not_the_same_work() -> None:
    times = {"median": 2.0, "quartiles": [1.5, 3.0], "ratio": 1.25}
    told = {"prompt_tokens": 800.0, "with_evidence": 9, "peak_mib": 512.4, "first_token_s": times, "total_s": times}
    told["processor_s"] = times
    systems = {"ours": {**told, "differences": []}, "theirs": {**told, "differences": ["its prompts are shorter"]}}
    lines = tables.answers({"questions": 10, "systems": systems}).splitlines()
    assert lines[2] == f"| ours | 800 | 9 of 10 |{' 2.00 (1.50 to 3.00) | 1.25 |' * 3} 512 |"
    assert lines[-1] == "Not the same work: theirs: its prompts are shorter."


def test_figures_of_any_report_are_rows() -> None:
    written = tables.figures({"chunks": 1000, "stores": {"A": {"p50_ms": 1.25}}, "names": ["left out"]})
    assert written.splitlines()[2:] == ["| chunks | 1000 |", "| stores, A, p50_ms | 1.25 |"]


@pytest.mark.parametrize("section", Section)
def test_every_section_runs_programs_that_are_there(section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in environment.VARIABLES.values():
        monkeypatch.setenv(variable, sys.executable)
    root = Path(tables.__file__).parents[2]
    for words in programs(section, Choices("a-model", None, 2, 1000)).values():
        module = root / Path(*words[0].split("."))
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()


def test_environment_that_a_variable_names_has_to_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEGROUND_BENCH_PEERS", str(tmp_path / "python"))
    with pytest.raises(InputError, match=r"HOMEGROUND_BENCH_PEERS is .* which is not there"):
        environment.python("peers")


def test_model_without_a_file_for_llama_cpp_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'my-own' does not come as a GGUF file; name one with --gguf"):
        gguf("my-own")
