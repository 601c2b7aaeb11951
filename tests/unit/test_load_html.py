"""HTML: what is left out, and how blocks, lists, tables and headings become text."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load.html import read, read_content
from rag.types import Heading


def text_of(markup: str) -> str:
    return read(markup.encode(), "a.html").text


def test_html_writes_blocks_lists_and_headings() -> None:
    extracted = read(
        b"""<html lang="en"><head><title>Guide - Site</title><meta name="author" content="Ann"></head><body>
        <h1>Guide <a class="headerlink" href="#guide">\xc2\xb6</a></h1><p>One <b>bold</b>\n word.<br>Next</p>
        <ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul><ol><li>x</li><li>y</li></ol>
        <h2>More</h2><pre>  code\n    kept\n</pre><dl><dt>term</dt><dd>meaning</dd></dl></body></html>""",
        "a.html",
    )
    assert extracted.text == (
        "Guide\n\nOne bold word.\nNext\n\n- a\n  - b\n- c\n\n1. x\n2. y\n\nMore\n\n  code\n    kept\n\nterm\nmeaning"
    )
    assert extracted.headings == (
        Heading(0, 1, "Guide"),
        Heading(extracted.text.index("More"), 2, "More"),
    )
    assert (extracted.title, dict(extracted.metadata)) == ("Guide", {"language": "en", "author": "Ann"})


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>secret</script>",
        "<style>secret</style>",
        "<nav>secret</nav>",
        "<header>secret</header>",
        "<footer>secret</footer>",
        "<aside>secret</aside>",
        "<template>secret</template>",
        "<!-- secret -->",
        "<p hidden>secret</p>",
        "<p style='DISPLAY : none'>secret</p>",
        "<span aria-hidden=true>secret</span>",
        "<div role=navigation>secret</div>",
        "<div class=navheader>secret</div>",
        "<header><h1>kept</h1><ul><li>secret</ul></header>",
    ],
)
def test_html_leaves_out_what_readers_do_not_see(unseen: str) -> None:
    text = text_of(f"<p>before</p>{unseen} tail<p>after</p>")
    assert "secret" not in text
    assert "before" in text
    assert "tail" in text
    assert "after" in text


def test_html_prefers_the_main_content_where_it_holds_most_of_the_text() -> None:
    assert text_of("<div>menu</div><main><header>Title</header>" + "word " * 50 + "</main>").startswith("Title\n\nword")
    assert text_of("<p>the article is " + "long " * 50 + "</p><main>x</main>").startswith("the article")


def test_html_prefers_none_of_several_articles() -> None:
    page = "<p>intro</p><article>" + "long " * 50 + "</article><article>short</article>"
    assert text_of(page).startswith("intro\n\nlong")
    assert text_of(page).endswith("short")
    assert text_of(f"<main>{page}</main><article>comment</article>").endswith("short")


def test_html_content_has_no_frame_around_it() -> None:
    markup = "<header>From the top</header><ul><li>a</ul><nav>menu</nav><p hidden>x</p><footer>to the bottom</footer>"
    assert read_content(markup).text == "From the top\n\n- a\n\nto the bottom"
    assert read_content("<img src=x>").text == ""
    assert read_content("").text == ""


def test_html_written_as_xml_may_close_elements_at_once() -> None:
    markup = "<html><head><title/><script src='x'/></head><body><a id='x'/><p>text<br/>more</p></body></html>"
    assert text_of(f"<?xml version='1.0'?>{markup}") == "text\nmore"


def test_html_writes_tables_in_markdown_with_spans_spelled_out() -> None:
    rows = "<tr><th>a|b<th colspan=2>c<tr><td rowspan=2>d<td>e<td><p>f</p><p>g</p><tr><td>h<td>i"
    assert text_of(f"<table><caption>Cap</caption>{rows}</table>") == (
        "Cap\n\n| a\\|b | c |  |\n| --- | --- | --- |\n| d | e | f g |\n| d | h | i |"
    )


def test_html_leaves_out_a_row_that_only_begins_what_the_next_one_says_again() -> None:
    assert text_of("<table><tr><th>a<th>b<tr><th rowspan=3>c<tr><td>d<tr><td>e</table>") == (
        "| a | b |\n| --- | --- |\n| c | d |\n| c | e |"
    )


def test_html_writes_a_table_in_a_cell_of_a_table_with_a_header_into_the_cell() -> None:
    inner = "<table><tr><td>c<td>d<tr><td>e<td>f</table>"
    assert text_of(f"<table><tr><th>a<th>b<tr><td>x<td>{inner}<tr><td>y<td>z</table>") == (
        "| a | b |\n| --- | --- |\n| x | c d e f |\n| y | z |"
    )


@pytest.mark.parametrize(
    "cell", ["<table><tr><td>b<td>c</table>", "<pre>b\nc</pre>", "<h2>b</h2>c", "<blockquote>b</blockquote>c"]
)
def test_html_takes_a_table_that_arranges_blocks_apart(cell: str) -> None:
    assert text_of(f"<table><tr><td>a</td><td>{cell}</td></tr></table>").startswith("a\n\n")


def test_html_bounds_how_far_a_cell_can_reach() -> None:
    assert len(text_of("<table><tr><td colspan=99999 rowspan=99999>a<td>b<tr><td>c<td>d</table>")) < 5000


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("10<sup>6</sup> m<sup>-2</sup>", "10^6 m^-2"),
        ("1<sup>st</sup> try<sup><a>[1]</a></sup>", "1st try[1]"),
        ("a&nbsp;&amp;&#x20;b&#1;", "a & b"),
        ("<li>loose", "- loose"),
        ("<ol start=7><li>a<li value=10>b<li>c</ol>", "7. a\n10. b\n11. c"),
        ("<ol start=x><li>a</ol><ol start=0><li>b</ol>", "1. a\n\n0. b"),
        ("<p>see<img alt='a duck'>, <img alt=''><img alt='logo.png'>end", "see a duck , end"),
        (
            "<span style='display:none'><math alttext='x^2'><mi>x</mi></math></span><img alt='x^2' aria-hidden=true>",
            "x^2",
        ),
        ("<math><semantics><mi>a</mi><annotation>a_1</annotation></semantics></math>.", "a_1."),
        ("<ul>text<li><h3>head</h3>body</ul>", "  text\n- head\n  body"),
    ],
)
def test_html_writes_inline_markup(markup: str, text: str) -> None:
    assert text_of(markup) == text


def test_html_heading_starts_at_its_line() -> None:
    extracted = read(b"<ul><li><h3>a <code>b</code></h3></ul>", "a.html")
    assert (extracted.text, extracted.headings) == ("- a b", (Heading(0, 3, "a b"),))


@pytest.mark.parametrize(
    ("title", "heading", "shown"),
    [
        ("<title>Page | Site</title>", "<h1>Page</h1>", "Page"),
        ("<title>Page</title>", "<h1>Other</h1>", "Page"),
        ("", "<h1>Other</h1>", "Other"),
        ("<title>Page</title>", "", "Page"),
    ],
)
def test_html_title_is_the_shorter_name_of_the_page(title: str, heading: str, shown: str) -> None:
    assert read(f"{title}{heading}<p>text".encode(), "a.html").title == shown


def test_html_reads_the_declared_encoding() -> None:
    markup = '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>текст'
    assert read(markup.encode("koi8-r"), "a.html").text == "текст"


def test_html_with_an_xml_declaration_is_read() -> None:
    assert text_of('<?xml version="1.0" encoding="UTF-8"?><html><body><p>é</p></body></html>') == "é"


@pytest.mark.parametrize("markup", ["<p></p>", "<!-- -->", "<script>x()</script>", " "])
def test_html_without_text_is_refused(markup: str) -> None:
    with pytest.raises(InputError, match="without any text"):
        read(markup.encode(), "a.html")


def test_html_says_when_nesting_was_too_deep_to_read_it_all() -> None:
    extracted = read(b"<p>kept</p>" + b"<div>" * 5000 + b"lost", "a.html")
    assert extracted.text == "kept"
    assert "read only in part" in extracted.warnings[0]
