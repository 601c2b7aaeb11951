"""The advisor's judgement on recorded outcomes: scores, causes, intervals, limits, and what it recommends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from models.base import ConfigError, InputError
from models.prompt import REFUSAL
from rag.evaluate.questions import Evidence as Place
from scripts.decide import config as decide_config
from scripts.decide import limits
from scripts.decide.__main__ import app
from scripts.decide.arms import BY_NAME
from scripts.decide.cache import Cited, Output, Outputs, Passage
from scripts.decide.compare import compare_all, difference, groups
from scripts.decide.config import DecideConfig, Requirements
from scripts.decide.evidence import Evidence, Standing
from scripts.decide.form import from_pattern, from_schema
from scripts.decide.freshness import Freshness, Replayed, edited
from scripts.decide.measure import score
from scripts.decide.plot import Point, svg
from scripts.decide.recommend import Recommendation, recommend
from scripts.decide.requirements import prior
from scripts.decide.task import Asked, read_task
from tests.training import write_rows

ROOT = Path(__file__).parents[2]
ARMS = ("base", "retrieval", "adapter", "both", "grounded")


def write_config(folder: Path, **settings: Any) -> Path:
    if not (folder / "test.jsonl").is_file():
        write_rows(folder / "test.jsonl", [{"question": f"Which is {n}?", "references": [str(n)]} for n in range(40)])
    path = folder / "decide.yaml"
    path.write_text(yaml.safe_dump({"name": "task", "test": "test.jsonl"} | settings), encoding="utf-8")
    return path


def config(folder: Path, **settings: Any) -> DecideConfig:
    return decide_config.read(write_config(folder, **settings))


def judged(
    rights: dict[str, list[float]],
    *,
    seconds: dict[str, float] | None = None,
    freshness: Freshness | None = None,
    limit: list[limits.Limit] | None = None,
    counts_points: bool = False,
    **requirements: Any,
) -> Recommendation:
    """Recommend on outcomes, one number per question for each arm."""
    wanted = Requirements(**requirements)
    scores = {name: np.array(values) for name, values in rights.items()}
    clusters = [str(number) for number in range(len(next(iter(scores.values()))))]
    standings = [
        Standing(name, float(values.mean()), (seconds or {}).get(name, 1.0)) for name, values in scores.items()
    ]
    pairs = compare_all(scores, clusters, 0.05)
    return recommend(
        Evidence(standings, pairs, limit or [], wanted, prior(wanted), freshness, 0.05, counts_points=counts_points)
    )


def outcomes(shares: dict[str, float], questions: int = 100, seed: int = 0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    hard = rng.random(questions)
    return {name: (hard < share).astype(float).tolist() for name, share in shares.items()}


def test_retrieval_wins_where_only_it_helps() -> None:
    told = judged(
        outcomes({"base": 0.05, "retrieval": 0.7, "adapter": 0.06, "both": 0.5, "grounded": 0.69}), facts=True
    )
    assert (told.verdict, told.winner) == ("winner", "retrieval")
    assert told.sentences[0] == "Take retrieval."
    assert "more questions rightly than the model as it is (95 % interval" in told.sentences[1]
    assert "This is what the requirements spoke for." in told.sentences


def test_fine_tuning_wins_where_only_it_helps() -> None:
    told = judged(outcomes({"base": 0.1, "retrieval": 0.05, "adapter": 0.9, "both": 0.6, "grounded": 0.6}), facts=True)
    assert (told.verdict, told.winner, told.runner_up) == ("winner", "adapter", "both")
    assert "The requirements spoke for retrieval; the measurement does not bear that out." in told.sentences


def test_both_together_win_where_neither_is_enough() -> None:
    shares = {"base": 0.0, "retrieval": 0.2, "adapter": 0.2, "both": 0.5, "grounded": 0.85}
    told = judged(outcomes(shares), facts=True, format=True)
    assert (told.verdict, told.winner, told.runner_up) == ("winner", "grounded", "both")


def test_no_difference_is_called_so_with_the_questions_that_would_settle_it() -> None:
    rng = np.random.default_rng(1)
    rights = {name: (rng.random(60) < 0.5).astype(float).tolist() for name in ARMS}
    told = judged(rights)
    assert (told.verdict, told.winner, told.advised) == ("no difference shown", None, "base")
    assert told.sentences[0] == "No difference shown."
    assert told.more_questions is not None
    assert told.more_questions > 10


def test_of_ways_that_do_not_differ_the_simplest_that_beats_the_base_wins() -> None:
    told = judged(outcomes({"base": 0.1, "retrieval": 0.6, "adapter": 0.2, "both": 0.61, "grounded": 0.62}))
    assert told.winner == "retrieval"
    assert any("etween retrieval and retrieval with fine-tuning" in sentence for sentence in told.sentences)
    same = judged(outcomes({"base": 0.5, "retrieval": 0.5}))
    assert same.verdict == "no difference shown"
    assert same.more_questions is None


def test_difference_that_luck_may_have_brought_is_named_from_the_better_ones_side() -> None:
    """Five questions of forty differ, all for the same way: alone that may be luck, though the interval excludes 0."""
    told = judged(
        {name: [1.0] * right + [0.0] * (40 - right) for name, right in (("base", 0), ("retrieval", 20), ("both", 25))}
    )
    assert (told.winner, told.runner_up) == ("retrieval", "both")
    (said,) = [sentence for sentence in told.sentences if sentence.startswith("No difference shown")]
    assert ": retrieval with fine-tuning answers 12 of 100 more questions rightly (95 % interval 2.5 to 22.5)" in said
    assert "which may be luck among 3 comparisons" in said
    assert "Of the two, retrieval takes less to build and to keep." in told.sentences


def test_runner_up_that_takes_less_is_no_winner_without_beating_the_base() -> None:
    rights = {
        name: [1.0] * right + [0.0] * (40 - right) for name, right in (("base", 0), ("retrieval", 4), ("both", 9))
    }
    told = judged(rights)
    assert (told.winner, told.runner_up) == ("both", "retrieval")
    assert "Retrieval is not shown to beat the model as it is." in told.sentences
    assert not any("takes less" in sentence for sentence in told.sentences)


def test_requirements_rule_ways_out() -> None:
    rights = outcomes({"base": 0.1, "retrieval": 0.6, "adapter": 0.9})
    slow = judged(rights, seconds={"adapter": 3.0}, latency_s=2)
    assert slow.winner == "retrieval"
    assert any("fine-tuning is ruled out: 95 % of its answers take up to 3.00 s" in said for said in slow.sentences)
    stale = Freshness({"adapter": (Replayed("q", "old", "old"),), "retrieval": (Replayed("q", "new", "new"),)}, 0.1)
    fresh = judged(rights, freshness=stale, changes="often")
    assert fresh.winner == "retrieval"
    assert any("it gave the new fact in 1 of 1 cases" in said for said in fresh.sentences)
    poor = judged(outcomes({"base": 0.1, "retrieval": 0.6, "adapter": 0.62}), budget="small")
    assert any("fine-tuning is ruled out: the budget is small" in said for said in poor.sentences)
    assert any(said.endswith("of 100 questions rightly.") for said in fresh.sentences)
    none = judged(rights, latency_s=0.1)
    assert none.verdict == "nothing can be concluded"


def test_nothing_is_concluded_from_five_questions_without_references() -> None:
    asked = [Asked(str(n), f"q{n}", "", (), (), answerable=True, form=None) for n in range(5)]
    found = limits.of_test(asked)
    assert [limit.sentence[:16] for limit in found] == ["5 test questions", "No test question"]
    told = judged(outcomes({"base": 0.0, "retrieval": 1.0}, 5), limit=found)
    assert (told.verdict, told.winner, told.advised) == ("nothing can be concluded", None, None)
    assert "too few to name a winner" in told.sentences[0]


def test_documents_without_the_answers_say_nothing_about_retrieval() -> None:
    asked = [Asked(str(n), f"q{n}", "", (f"room {n}",), (), answerable=True, form=None) for n in range(40)]
    held = limits.held(asked, [("a.md", "Nothing of it stands here.")], "contains")
    assert held == limits.Held(40, 0)
    found = limits.of_documents(held)
    told = judged(outcomes({"base": 0.1, "retrieval": 0.12, "adapter": 0.9}), limit=found, facts=True)
    assert told.winner == "adapter"
    assert any("retrieval is ruled out" in sentence for sentence in told.sentences)
    assert told.sentences[-1] == "The requirements spoke for retrieval, which is ruled out here."
    nothing = judged(outcomes({"base": 0.1, "retrieval": 0.12}), limit=found)
    assert (nothing.verdict, nothing.advised) == ("nothing can be concluded", None)
    assert "The documents hold the answer to none" in nothing.sentences[0]
    gain = judged(outcomes({"base": 0.1, "retrieval": 0.9}), limit=found)
    assert gain.winner == "retrieval", "what was measured counts more than what could be looked up"
    some = limits.held(asked, [("a.md", "Ask in room 3, or in Room 4!")], "contains")
    assert some == limits.Held(40, 2)
    assert "hold the answer to 2 of the 40" in limits.of_documents(some)[0].sentence
    quoted = [Asked("1", "q", "", ("x",), (Place("a.md", "ask in room"),), answerable=True, form=None)]
    assert limits.held(quoted, [("a.md", "Please ask in room 3.")], "fields") == limits.Held(1, 1)
    elsewhere = limits.held(quoted, [("handbook/a.md", "Please ask in room 3.")], "fields")
    assert elsewhere == limits.Held(1, 0, ("a.md",))
    (stranger,) = limits.of_documents(elsewhere)
    assert (stranger.forbids, "that are not there: a.md" in stranger.sentence) == ((), True)
    sentence = "Recordings of the third room are kept for six days."
    long = [Asked("1", "q", "", (sentence,), (), answerable=True, form=None)]
    assert limits.held(long, [("a.md", "Room 3: 6 days.")], "f1").looked_up == 0


def test_test_of_questions_without_an_answer_names_no_winner() -> None:
    asked = [Asked(str(n), f"q{n}", "", ("x",) * (n < 10), (), answerable=n < 10, form=None) for n in range(40)]
    (found,) = limits.of_test(asked)
    assert found.sentence.startswith("10 of the 40 test questions have an answer")
    assert judged(outcomes({"base": 0.0, "retrieval": 0.9}), limit=[found]).verdict == "nothing can be concluded"


def about(documents: int, quotes: int, questions: int = 60) -> list[Asked]:
    """Return questions about so many documents, and so many passages of each."""
    places = [Place(f"{number % documents}.md", f"quote {number // documents % quotes}") for number in range(questions)]
    return [
        Asked(str(number), f"q{number}", "", ("x",), (place,), answerable=True, form=None)
        for number, place in enumerate(places)
    ]


def test_questions_about_few_documents_are_drawn_by_their_passages() -> None:
    one_book = about(1, 60)
    assert len(set(groups(one_book))) == 60
    assert len(set(groups(about(12, 5)))) == 12
    (rough,) = limits.of_test(one_book)
    assert (rough.forbids, "about 1 documents only. They are drawn by the 60 passages" in rough.sentence) == ((), True)
    right = [1.0] * 58 + [0.0] * 2
    pairs = compare_all({name: np.array(right) * (name != "base") for name in ARMS}, groups(one_book), 0.05)
    assert pairs["base", "retrieval"].is_shown
    (hopeless,) = limits.of_test(about(2, 3))
    assert set(hopeless.forbids) == set(ARMS)
    assert "about 6 passages of 2 documents only" in hopeless.sentence


def test_questions_that_are_needed_count_all_comparisons() -> None:
    rng = np.random.default_rng(3)
    scores = {name: (rng.random(100) < (0.4 if name == "base" else 0.5)).astype(float) for name in ARMS}
    names = [str(number) for number in range(100)]
    alone = difference(scores["base"], scores["retrieval"], names, 0.05).needed
    among = compare_all(scores, names, 0.05)["base", "retrieval"].needed
    assert among == pytest.approx(alone * (2.807 + 0.842) ** 2 / (1.96 + 0.842) ** 2, rel=0.01)


def test_no_difference_on_few_questions_is_no_proof_that_there_is_none() -> None:
    same = [1.0, 0.0] * 15
    assert "no question made a difference" in " ".join(judged({"base": same, "retrieval": same}).sentences)
    more = [1.0, 0.0] * 30
    assert "there is no difference of 5 points" in " ".join(judged({"base": more, "retrieval": more}).sentences)


def test_way_that_is_not_shown_to_beat_a_base_that_is_ruled_out_is_compared_with_it() -> None:
    rights = outcomes({"base": 0.55, "retrieval": 0.62, "both": 0.15, "grounded": 0.15})
    told = judged(rights, changes="often", facts=True)
    assert (told.verdict, told.advised) == ("no difference shown", "retrieval")
    assert told.sentences[1].startswith("No difference shown between retrieval and the model as it is: retrieval")


def test_points_are_not_called_questions() -> None:
    told = judged(outcomes({"base": 0.1, "retrieval": 0.6}), counts_points=True)
    assert told.sentences[1].startswith("Retrieval scores ")
    assert "of 100 points more than the model as it is" in told.sentences[1]
    assert not any("questions rightly" in sentence for sentence in told.sentences)


def test_tests_that_decide_nothing_are_named() -> None:
    def of(right: float, form: float) -> list[limits.Limit]:
        table = {"right": np.full(40, right), "form": np.full(40, form)}
        return limits.of_results({"base": table, "adapter": table})

    assert "No way ever met the required form" in of(0, 0)[0].sentence
    assert "No way answered a single question" in of(0, 1)[0].sentence
    assert "the test is too easy" in of(1, 1)[0].sentence
    assert of(0.5, 1) == []


def test_difference_counts_documents_not_questions() -> None:
    rng = np.random.default_rng(0)
    of_document = np.repeat(rng.random(10) < 0.6, 20).astype(float)
    first, documents = np.zeros(200), [str(number // 20) for number in range(200)]
    apart = difference(first, of_document, [str(number) for number in range(200)], 0.05)
    together = difference(first, of_document, documents, 0.05)
    assert apart.value == together.value
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert (together.documents, together.questions) == (10, 200)
    assert together.p > apart.p
    assert together.needed > apart.needed


def test_holm_makes_p_values_of_several_pairs_larger() -> None:
    scores = {
        name: np.array(values) for name, values in outcomes({"base": 0.3, "retrieval": 0.4, "adapter": 0.6}).items()
    }
    clusters = [str(number) for number in range(100)]
    together = compare_all(scores, clusters, 0.05)
    alone = difference(scores["base"], scores["retrieval"], clusters, 0.05)
    assert together["base", "retrieval"].p >= alone.p
    assert together["base", "adapter"].is_shown


def output(text: str, *passages: Passage, citations: tuple[Cited, ...] = ()) -> Output:
    return Output(text, passages, citations, 0.1, 0.2, 10, 5, None, None)


BADGE = Asked(
    "1", "Where?", "", ("room 7",), (Place("a.md", "The office is in room 7 now"),), answerable=True, form=None
)
HELD = Passage("a.md", "We moved. The office is in room 7 now, on the left.")


def test_causes_of_failures_are_told_apart(tmp_path: Path) -> None:
    settings = config(tmp_path)
    retrieval, base = BY_NAME["retrieval"], BY_NAME["base"]
    assert score(BADGE, output("In room 7 [1].", HELD), retrieval, settings).cause == ""
    assert score(BADGE, output("In room 9.", HELD), retrieval, settings).cause == "retrieved and ignored"
    assert score(BADGE, output("In room 9.", Passage("b.md", HELD.text)), retrieval, settings).cause == "not retrieved"
    assert score(BADGE, output(REFUSAL, HELD), retrieval, settings).cause == "declined, though there is an answer"
    assert score(BADGE, output("In room 9."), base, settings).cause == "wrong"
    king = Asked("2", "Who?", "", (), (), answerable=False, form=None)
    assert score(king, output("Bob."), base, settings).cause == "answered, though there is no answer"
    assert score(king, output("I do not know."), base, settings).scores["right"] == 1


def test_right_answer_in_the_wrong_format_is_wrong(tmp_path: Path) -> None:
    settings = config(tmp_path, form={"answer_field": "answer"})
    schema = from_schema({"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}})
    asked = Asked("1", "Where?", "", ("room 7",), (), answerable=True, form=schema)
    right = score(asked, output('{"answer": "In room 7."}'), BY_NAME["base"], settings)
    assert (right.scores["right"], right.cause) == (1, "")
    bare = score(asked, output("In room 7."), BY_NAME["base"], settings)
    assert (bare.scores["contains"], bare.scores["right"], bare.cause) == (1, 0, "wrong format")
    assert from_pattern("[a-c]+").fits(" abc ")
    assert not from_pattern("[a-c]+").fits("abcd")


def test_fields_and_queries_are_compared_by_what_they_say(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "towns.sqlite") as database:
        database.executescript("CREATE TABLE towns (name); INSERT INTO towns VALUES ('Ayr'), ('Wick')")
    database.close()
    fields = Asked("1", "q", "", ('{"a": 1, "b": 2}',), (), answerable=True, form=None)
    found = score(fields, output('{"b": 2, "a": 3}'), BY_NAME["base"], config(tmp_path, score="fields"))
    assert found.scores["right"] == pytest.approx(0.5)
    settings = config(tmp_path, score="execution", form={"database": "towns.sqlite"})
    query = Asked("1", "q", "", ("SELECT name FROM towns",), (), answerable=True, form=None)
    said = output("SELECT name FROM towns ORDER BY name DESC")
    assert score(query, said, BY_NAME["base"], settings).scores["right"] == 1
    assert score(query, output("DROP TABLE towns"), BY_NAME["base"], settings).scores["right"] == 0


def test_prior_follows_the_table_and_gives_reasons() -> None:
    assert prior(Requirements(facts=True, format=True)).way == "both"
    assert prior(Requirements(changes="often")).way == "retrieval"
    assert prior(Requirements(format=True, changes="often")).way == "adapter"
    assert prior(Requirements(latency_s=0.5)).way == "adapter"
    assert prior(Requirements(budget="small")).way == "retrieval"
    assert prior(Requirements()).sentence.endswith("the model as it is: nothing asks for more.")


def test_settings_that_contradict_are_all_named_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write_rows(tmp_path / "train.jsonl", [{"prompt": "a", "completion": "b"}])
    path = write_config(
        tmp_path,
        documents="docs",
        collection="handbook",
        train="train.jsonl",
        adapter="x",
        score="execution",
        changes=[{"source": "gone.md", "find": "a", "question": "q", "old": ["a"], "new": ["b"]}],
        rate=3,
    )
    with pytest.raises(ConfigError) as caught:
        decide_config.read(path)
    told = str(caught.value)
    assert told.startswith("5 settings are wrong")
    for part in ("not both", "train or adapters", "needs form.database", "'gone.md' is no file below", "mean 'rates'"):
        assert part in told
    assert told.count(", line ") == 4


def test_examples_that_hold_test_questions_are_refused(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "train.jsonl", [{"prompt": "which is  3", "completion": "3"}, {"prompt": "x", "completion": "y"}]
    )
    with pytest.raises(InputError, match=r"1 of 40 test questions stand in .*: train.jsonl, line 1 asks what test"):
        read_task(config(tmp_path, train="train.jsonl"))


def test_lines_that_cannot_be_used_are_named_together(tmp_path: Path) -> None:
    rows = [{"question": " "}, {"question": "a?", "pattern": "("}, {"question": "A"}, {"id": "line 1", "question": "b"}]
    write_rows(tmp_path / "test.jsonl", rows)
    write_rows(tmp_path / "train.jsonl", [{"prompt": "only"}])
    with pytest.raises(InputError) as caught:
        read_task(config(tmp_path, train="train.jsonl"))
    told = str(caught.value)
    for part in (
        "the question is empty",
        "not a regular expression",
        "asks the same as line 2",
        "taken",
        "train.jsonl",
    ):
        assert part in told


def test_outputs_survive_an_interruption(tmp_path: Path) -> None:
    kept = Outputs(tmp_path, {"weights": "a"})
    kept.add("q1", output("one", HELD, citations=(Cited("a.md", "room 7", 1.0),)))
    kept.add("q2", output("two"))
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-20])
    again = Outputs(tmp_path, {"weights": "a"})
    assert again.get("q1") == kept.get("q1")
    assert again.get("q2") is None
    again.add("q2", output("two"))
    assert len(Outputs(tmp_path, {"weights": "a"})) == 2
    assert len(Outputs(tmp_path, {"weights": "b"})) == 0


def test_edits_of_a_document_add_up(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("five days and six weeks")
    base = {"source": "a.md", "question": "q", "old": ["x"], "new": ["y"]}
    edits = [{**base, "find": "five", "replace": "seven"}, {**base, "find": "six", "replace": "nine"}]
    settings = config(tmp_path, documents="docs", changes=edits)
    assert edited(settings.changes, folder) == {"a.md": b"seven days and nine weeks"}
    with pytest.raises(InputError, match=r"a\.md does not hold 'five!'"):
        edited(config(tmp_path, documents="docs", changes=[{**base, "find": "five!"}]).changes, folder)


def test_plot_holds_every_arm_and_escapes_names() -> None:
    drawn = svg([Point("<b>", 1.0, 0.5, 0.4, 0.6, chosen=True), Point("base", 0.0, 0.5, 0.5, 0.5, chosen=False)])
    assert "&lt;b&gt;" in drawn
    assert drawn.count("<circle") == 2


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docs" / "decide").glob("*.yaml")))
def test_worked_example_can_be_read(name: str) -> None:
    settings = decide_config.read(ROOT / "docs" / "decide" / name)
    task = read_task(settings)
    assert len(task.asked) >= 50
    assert not any(limit.forbids for limit in limits.of_test(task.asked))
    assert all(one.references or not one.answerable for one in task.asked)
    if settings.documents:
        json.dumps(sorted(edited(settings.changes, settings.documents)))


def test_requirements_are_asked_in_the_terminal(tmp_path: Path) -> None:
    path = str(write_config(tmp_path))
    asked = CliRunner().invoke(
        app, ["--config", path, "--ask", "--prior", "--json"], input="daily\noften\ny\ny\n\n1.5\n"
    )
    told = json.loads(asked.stdout[asked.stdout.index("{") :])  # the runner shows what was typed
    assert told["way"] == "both"
    assert [row["said"] for row in told["rows"]] == ["often", "yes", "yes", "medium", "within 1.5 s"]
    assert "expected never, sometimes, often" in asked.stderr
    plain = CliRunner().invoke(app, ["--config", path, "--prior"])
    assert "Before measuring, the requirements speak for the model as it is" in plain.stdout
    assert json.loads(CliRunner().invoke(app, ["--schema"]).stdout)["title"] == "DecideConfig"
