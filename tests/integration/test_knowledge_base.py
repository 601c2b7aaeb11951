"""From files to answers through one collection: what goes in is found, quoted exactly, and forgotten when it goes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag
from models.base import InputError, Message, ModelError, SamplingParams, StoreError
from models.prompt import REFUSAL
from rag.config import Settings, load
from rag.doubt import refused_from
from rag.knowledge_base import KnowledgeBase
from rag.types import Answer, Document, Filter
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator

TEXTS = {
    "badges.md": "---\nowner: facilities\n---\n# Badges\n\n"
    "A lost badge is replaced at the front desk for five pounds.\n",
    "people/leave.md": "# Leave\n\nEverybody has 25 days of annual leave.\n\n## Sickness\n\nRing the duty manager.\n",
    "fire.txt": "In case of fire, walk to the muster point on the pier.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        path = tmp_path / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "documents"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "data", environment={})


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator(["You pay five pounds for a lost badge [1]."], adapters=("house-style",))


@pytest.fixture
def workspace(settings: Settings, generator: ScriptedGenerator) -> Iterator[Workspace]:
    with Workspace(settings, embedder=HashEmbedder(), generator=generator) as opened:
        yield opened


@pytest.fixture
def base(workspace: Workspace, folder: Path) -> KnowledgeBase:
    made = workspace.collection("handbook", create=True)
    made.add(folder)
    return made


def test_add_indexes_a_folder_and_names_documents_by_their_path_in_it(base: KnowledgeBase) -> None:
    assert [row.source for row in base.documents()] == ["badges.md", "fire.txt", "people/leave.md"]


def test_add_does_nothing_the_second_time(base: KnowledgeBase, folder: Path) -> None:
    report = base.add(folder)
    assert (report.documents, report.unchanged, report.errors) == ([], 3, [])


def test_add_takes_changed_bytes_in_even_if_size_and_time_are_the_same(base: KnowledgeBase, folder: Path) -> None:
    path = folder / "fire.txt"
    before = path.stat()
    path.write_text(path.read_text().replace("pier", "quay"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = base.add(folder)
    assert ([source for source, _ in report.documents], report.unchanged) == (["fire.txt"], 2)
    assert "quay" in base.search("muster point fire", 1)[0].chunk.text


def test_add_with_sync_removes_what_is_gone_and_without_it_keeps_it(base: KnowledgeBase, folder: Path) -> None:
    (folder / "fire.txt").unlink()
    assert base.add(folder).removed == 0
    assert base.add(folder, sync=True).removed == 1
    assert "fire.txt" not in {hit.source for hit in base.search("fire muster point", 10)}


def test_sync_leaves_uploads_and_other_folders_alone(base: KnowledgeBase, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "canteen.md").write_text("# Canteen\n\nIt opens at noon.\n")
    base.upload("uploaded.md", b"# Uploaded\n\nIt came over the wire.")
    (folder / "fire.txt").unlink()
    base.add(other)
    assert base.add(folder, sync=True).removed == 1
    assert {row.source for row in base.documents()} == {"badges.md", "people/leave.md", "canteen.md", "uploaded.md"}


def test_add_forgets_a_file_that_was_emptied(base: KnowledgeBase, folder: Path) -> None:
    (folder / "fire.txt").write_bytes(b"")
    report = base.add(folder)
    assert (report.removed, [problem.error for problem in report.errors]) == (1, ["is empty."])
    assert "fire.txt" not in {row.source for row in base.documents()}


def test_add_keeps_what_was_indexed_of_a_file_that_broke_and_says_so(base: KnowledgeBase, folder: Path) -> None:
    (folder / "fire.txt").write_bytes(bytes(range(256)) * 8)
    (problem,) = base.add(folder, sync=True).errors
    assert "What was indexed of it before stays" in problem.error
    assert base.search("muster point", 1)[0].source == "fire.txt"


def test_add_names_bad_files_and_indexes_the_others(base: KnowledgeBase, folder: Path) -> None:
    (folder / "empty.md").write_bytes(b"")
    (folder / "image.bin").write_bytes(bytes(range(256)) * 8)
    (folder / "good.md").write_text("# Good\n\nThis one is fine.\n")
    report = base.add(folder)
    assert {problem.source for problem in report.errors} == {"empty.md", "image.bin"}
    assert [source for source, _ in report.documents] == ["good.md"]


def test_add_does_not_replace_another_file_of_the_same_name(base: KnowledgeBase, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "fire.txt").write_text("Quite another fire text.")
    (problem,) = base.add(other).errors
    assert "would replace" in problem.error
    assert "muster point" in base.search("fire", 1)[0].chunk.text


def test_add_refuses_a_missing_path(base: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        base.add(tmp_path / "nowhere")


def test_add_cuts_documents_again_when_the_chunk_size_changes(
    base: KnowledgeBase, workspace: Workspace, folder: Path, settings: Settings
) -> None:
    workspace.close()
    changed = settings.model_copy(update={"chunk": settings.chunk.model_copy(update={"size": 20})})
    with Workspace(changed, embedder=HashEmbedder()) as again:
        assert len(again.collection("handbook").add(folder).documents) == 3


def test_upload_indexes_bytes_and_reports_what_cannot_be_read(base: KnowledgeBase) -> None:
    assert base.upload("new.md", b"# New\n\nThe canteen opens at noon.").errors == []
    assert base.search("canteen noon", 1)[0].source == "new.md"
    (problem,) = base.upload("broken.pdf", b"%PDF-1.7 broken").errors
    assert problem.source == "broken.pdf"


def test_removed_documents_are_not_found_any_more(base: KnowledgeBase) -> None:
    (row,) = (row for row in base.documents() if row.source == "fire.txt")
    assert base.remove(row.id) == 1
    assert "fire.txt" not in {hit.source for hit in base.search("fire muster point", 10)}


def test_search_looks_only_where_the_filter_lets_it(base: KnowledgeBase) -> None:
    found = base.search("lost badge", 10, where=Filter(metadata={"owner": "facilities"}))
    assert {hit.source for hit in found} == {"badges.md"}
    assert base.search("lost badge", 10, where=Filter(source="none/*")) == []


@pytest.mark.parametrize(("question", "message"), [("  ", "is empty"), ("x" * 20_001, "20001 characters")])
def test_search_refuses_questions_it_cannot_use(base: KnowledgeBase, question: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        base.search(question)


def test_ask_answers_with_an_exact_quote(base: KnowledgeBase) -> None:
    answer = base.ask("What do I pay for a lost badge?")
    (citation,) = answer.citations
    assert citation.source == "badges.md"
    assert citation.quote == "A lost badge is replaced at the front desk for five pounds."
    assert base.document(citation.document_id).text[citation.start : citation.end] == citation.quote
    assert not answer.abstained
    assert (answer.model, answer.engine, answer.collection, answer.finish_reason) == (
        "scripted",
        "script",
        "handbook",
        "stop",
    )


def test_stream_yields_what_the_answer_says(base: KnowledgeBase, generator: ScriptedGenerator) -> None:
    generator.replies = ["Five pounds [7] it is [1]."]
    *pieces, answer = base.stream("What do I pay for a lost badge?")
    assert isinstance(answer, Answer)
    assert "".join(map(str, pieces)) == answer.text == "Five pounds  it is [1]."
    assert answer.timings.new_tokens == generator.steps


def test_ask_gives_the_model_numbered_passages_and_the_history(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    history = [Message("user", "Hello?"), Message("assistant", "Hello.")]
    base.ask("What do I pay for a lost badge?", history=history, adapter="house-style")
    (asked,) = generator.asked
    assert asked.adapter == "house-style"
    assert [turn.role for turn in asked.messages] == ["system", "user", "assistant", "user"]
    assert "[1] Badges" in asked.messages[1].content
    assert asked.messages[1].content.endswith("Question: Hello?")
    assert asked.messages[2] == history[1]
    assert asked.messages[3].content == "Question: What do I pay for a lost badge?"


def test_follow_up_begins_with_the_prompt_that_was_read_already(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    base.add_documents([Document("umbrellas.md", "Umbrellas stand in room 7. " * 3, "Umbrellas")])
    question, follow_up = Message("user", "What do I pay for a lost badge?"), "And umbrellas in room 7?"
    answer = base.ask(question.content)
    assert base.search(f"{question.content} {follow_up}", 3)[0].source != answer.hits[0].source
    base.ask(follow_up, history=[question, Message("assistant", answer.text)])
    first, second = (asked.messages[1].content for asked in generator.asked)
    assert second.startswith(first.partition("Question:")[0].rstrip())
    assert "Umbrellas stand" in second


def test_follow_up_reads_passages_trimmed_to_itself_not_to_the_question_before(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    filler = "Nothing else is said about that here, as far as anybody knows. " * 4
    text = f"A badge costs five pounds when it is lost. {filler}Umbrellas stand in room 7 for visitors."
    base.add_documents([Document("badges.md", text, "Badges")])
    short = base.settings.answer.model_copy(update={"context_characters": 200, "passages": 1})
    base = base.with_settings(base.settings.model_copy(update={"answer": short}))
    only = Filter(source="badges.md")
    question = Message("user", "What does a lost badge cost?")
    base.ask(question.content, where=only)
    base.ask("And umbrellas?", history=[question, Message("assistant", "Five pounds [1].")], where=only)
    first, second = (asked.messages[1].content for asked in generator.asked)
    assert "five pounds" in first
    assert "Umbrellas" not in first
    assert "Umbrellas stand in room 7" in second


def test_ask_abstains_without_asking_the_model_when_nothing_is_found(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    answer = base.ask("zyzzyva qwertz?", where=Filter(source="none/*"))
    assert (answer.abstained, answer.text, answer.citations, answer.timings.new_tokens) == (True, REFUSAL, (), 0)
    assert generator.asked == []


def test_ask_abstains_when_the_model_says_that_the_sources_hold_no_answer(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    generator.replies = [REFUSAL]
    answer = base.ask("Who owns the badge?")
    assert answer.abstained
    assert answer.citations == ()
    assert answer.hits


def test_passages_are_answered_from_by_the_adapter_of_the_settings_unless_another_is_named(
    base: KnowledgeBase, generator: ScriptedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.adapter_store.for_passages", lambda offered: "house-style")
    for named in (None, "base", "house-style"):
        base.ask("Who owns the badge?", adapter=named)
    assert [asked.adapter for asked in generator.asked] == ["house-style", None, "house-style"]


def test_declining_is_weighed_as_the_settings_say(base: KnowledgeBase, generator: ScriptedGenerator) -> None:
    hits = base.ask("Who owns the badge?").hits
    careful = base.settings.answer.model_copy(update={"decline_from": 0.2})
    base.with_settings(base.settings.model_copy(update={"answer": careful})).ask("Who owns the badge?")
    usual, weighed = (asked.params for asked in generator.asked)
    assert (usual.opening, usual.opening_from) == (REFUSAL, None)
    assert weighed.opening_from == refused_from(0.2, hits)


def test_ask_refuses_an_unknown_adapter_even_when_nothing_is_found(base: KnowledgeBase) -> None:
    with pytest.raises(ModelError, match="no adapter 'none'"):
        base.ask("zyzzyva?", adapter="none", where=Filter(source="none/*"))


def test_ask_survives_a_document_that_changes_while_the_model_answers(base: KnowledgeBase) -> None:
    stream = base.stream("What do I pay for a lost badge?")
    next(stream)
    for row in base.documents():
        base.remove(row.id)
    *_, answer = stream
    assert isinstance(answer, Answer)
    assert answer.citations


def test_ask_survives_markers_that_make_no_sense(base: KnowledgeBase, generator: ScriptedGenerator) -> None:
    generator.replies = ["A lost badge [9[0]9] costs [0] five [[99]] pounds [1]."]
    assert [citation.number for citation in base.ask("What do I pay for a lost badge?").citations] == [1]


def test_closing_a_stream_stops_the_model(base: KnowledgeBase, generator: ScriptedGenerator) -> None:
    stream = base.stream("What do I pay for a lost badge?")
    next(stream)
    stream.close()
    assert generator.closed == 1
    assert generator.steps < 5


def test_ask_refuses_an_unknown_adapter(base: KnowledgeBase) -> None:
    with pytest.raises(ModelError, match="no adapter 'none'"):
        base.ask("What do I pay for a lost badge?", adapter="none")


def test_ask_fits_the_prompt_into_a_small_context(base: KnowledgeBase, generator: ScriptedGenerator) -> None:
    generator.context_length = 150
    answer = base.ask("What do I pay for a lost badge?", params=SamplingParams(max_tokens=20))
    assert answer.timings.prompt_tokens <= 130
    assert 0 < len(answer.hits) < 3


def test_ask_refuses_a_question_longer_than_the_context(base: KnowledgeBase) -> None:
    with pytest.raises(InputError, match=r"the question needs \d+ tokens"):
        base.ask("badge " * 3000)


def test_chat_answers_from_the_model_alone(workspace: Workspace, generator: ScriptedGenerator) -> None:
    *_, answer = workspace.chat("Hello?")
    assert isinstance(answer, Answer)
    assert (answer.collection, answer.citations, answer.abstained) == (None, (), False)
    assert "Sources" not in generator.asked[0].messages[-1].content


def test_collection_must_exist_and_have_a_proper_name(workspace: Workspace) -> None:
    with pytest.raises(InputError, match=r"there is no collection 'none' \(existing: none yet\)"):
        workspace.collection("none")
    with pytest.raises(InputError, match="cannot name a collection"):
        workspace.collection("../etc", create=True)


def test_collection_of_another_embedder_is_refused_and_left_alone(
    base: KnowledgeBase, workspace: Workspace, settings: Settings
) -> None:
    workspace.close()
    other = HashEmbedder()
    other.weights_hash = "0" * 64
    with Workspace(settings, embedder=other) as again:
        with pytest.raises(StoreError, match="was built with embedder 'hash'"):
            again.collection("handbook")
        assert again.collections()[0].documents == 3


def test_delete_collection_leaves_other_open_collections_alone(base: KnowledgeBase, workspace: Workspace) -> None:
    empty = workspace.collection("empty", create=True)
    workspace.delete_collection("handbook")
    empty.upload("new.md", b"# New\n\nThe canteen opens at noon.")
    assert empty.search("canteen noon", 1)[0].source == "new.md"


def test_workspace_is_not_bothered_by_a_stray_file(
    base: KnowledgeBase, workspace: Workspace, settings: Settings
) -> None:
    workspace.close()
    (settings.data_dir / "indexes" / ".DS_Store").write_bytes(b"x")
    with Workspace(settings, embedder=HashEmbedder()) as again:
        assert again.collection("handbook").search("badge", 1)


def test_workspace_is_released_even_if_its_indexes_are_gone(
    base: KnowledgeBase, workspace: Workspace, settings: Settings, folder: Path
) -> None:
    shutil.rmtree(settings.data_dir / "indexes")
    (folder / "more.md").write_text("# More\n\nMore text.\n")
    with pytest.raises(StoreError, match="indexes are built again"):
        base.add(folder)
    workspace.close()
    with Workspace(settings, embedder=HashEmbedder()) as again:
        assert again.collection("handbook").search("more text", 1)[0].source == "more.md"


def test_delete_collection_removes_everything_in_it(base: KnowledgeBase, workspace: Workspace) -> None:
    workspace.delete_collection("handbook")
    assert workspace.collections() == []
    assert list((workspace.settings.data_dir / "indexes").iterdir()) == []


def test_open_without_models_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "no-models"))
    with pytest.raises(ModelError, match=r"python -m models\.fetch"):
        rag.open("handbook", data_dir=tmp_path / "data")


@pytest.mark.weights
def test_open_answers_with_the_default_models(tmp_path: Path, folder: Path) -> None:
    with rag.open("handbook", data_dir=tmp_path / "data") as opened:
        opened.add(folder)
        assert opened.search("Where do I get a new badge?", 1)[0].source == "badges.md"
        answer = opened.ask("How many days of annual leave are there?")
        assert answer.text
        assert answer.timings.new_tokens > 0
        for citation in answer.citations:
            assert opened.document(citation.document_id).text[citation.start : citation.end] == citation.quote
