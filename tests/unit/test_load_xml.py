"""XML: feeds, data and documents, each in its own way; entities stay what they are."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.values import Extracted
from rag.load.xml import read


def read_text(markup: str) -> Extracted:
    return read(markup.encode(), "a.xml")


def test_xml_data_keeps_names_with_values() -> None:
    extracted = read_text(
        '<?xml version="1.0"?><catalog xmlns:x="u" date="2020"><owner>Ann</owner><book x:id="1"><title>X</title>'
        '<price currency="EUR">5</price></book><book x:id="2"><title>Y</title><price currency="USD">6</price></book>'
        "<server><host><name>h</name></host></server></catalog>"
    )
    assert extracted.text == (
        "date: 2020\nowner: Ann\n\nbook\n\n| id | title | price | price.currency |\n| --- | --- | --- | --- |\n"
        "| 1 | X | 5 | EUR |\n| 2 | Y | 6 | USD |\n\nserver\n\nserver.host.name: h"
    )
    assert [heading.title for heading in extracted.headings] == ["book", "server"]
    assert extracted.title == ""


def test_xml_document_has_headings_lists_and_tables() -> None:
    extracted = read_text(
        "<article><title>Ducks</title><info><year>2004</year></info><section><title>Food</title>"
        "<para>They eat <emphasis>old</emphasis> bread &amp; H<sub>2</sub>O.<!-- no --></para>"
        "<itemizedlist><listitem><para>one</para><itemizedlist><listitem>deep</listitem></itemizedlist></listitem>"
        "</itemizedlist><section><title>Prices</title><table><tgroup><row><entry>A</entry><entry>B</entry></row>"
        "<row><entry>1</entry><entry>2</entry></row></tgroup></table>"
        "<programlisting>x = 1\n  y</programlisting></section></section></article>"
    )
    assert extracted.text == (
        "Ducks\n\nyear: 2004\n\nFood\n\nThey eat old bread & H2O.\n\n- one\n  - deep\n\nPrices\n\n"
        "| A | B |\n| --- | --- |\n| 1 | 2 |\n\nx = 1\n  y"
    )
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "Ducks"),
        (2, "Food"),
        (3, "Prices"),
    ]
    assert extracted.title == "Ducks"


def test_xml_document_breaks_a_paragraph_where_a_list_is_in_it() -> None:
    text = read_text("<doc><p>Take<list><item>salt</item><item>oil</item></list>and <b>stir</b>.</p></doc>").text
    assert text == "Take\n\n- salt\n- oil\n\nand stir."


@pytest.mark.parametrize("root", ["rss version='2.0'", "feed xmlns='http://www.w3.org/2005/Atom'"])
def test_xml_feed_has_a_section_for_each_entry(root: str) -> None:
    name, entry = root.split()[0], "item" if root.startswith("rss") else "entry"
    extracted = read_text(
        f"<{root}><title>News &amp; more</title><link href='http://x/'/><{entry}><title>First</title>"
        f"<pubDate>Mon, 9 Dec</pubDate><category>a</category><category term='b'/><summary>Short.</summary>"
        f"<content>&lt;h2&gt;Why&lt;/h2&gt;&lt;p&gt;Long &lt;b&gt;text&lt;/b&gt;.&lt;/p&gt;</content></{entry}>"
        f"<{entry}><title>Second</title><content><div xmlns='http://www.w3.org/1999/xhtml'><p>Inner.</p></div></content>"
        f"</{entry}></{name}>"
    )
    assert extracted.text == (
        "News & more\n\nlink: http://x/\n\nFirst\n\npubDate: Mon, 9 Dec\ncategory: a, b\n\nWhy\n\nLong text.\n\n"
        "Second\n\nInner."
    )
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "News & more"),
        (2, "First"),
        (4, "Why"),
        (2, "Second"),
    ]
    assert extracted.title == "News & more"


def test_xml_does_not_expand_entities() -> None:
    extracted = read_text(
        '<!DOCTYPE a [<!ENTITY v "1.2"><!ENTITY f SYSTEM "file:///etc/passwd">]><a><b>one &v;</b><c>&f;</c></a>'
    )
    assert extracted.text == "b: one &v;\nc: &f;"
    assert extracted.warnings == ("has entities of its own, which were not expanded: &f;, &v;.",)


@pytest.mark.parametrize("body", ["<a>&l9;</a>", "<a b='&l9;'>c</a>"])
def test_xml_with_entities_that_multiply_is_refused(body: str) -> None:
    laughs = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    with pytest.raises(InputError, match="amplification factor exceeded"):
        read_text(f"<!DOCTYPE a [<!ENTITY l0 '{'ha' * 100}'>{laughs}]>{body}")


def test_xml_says_what_of_it_is_broken() -> None:
    extracted = read_text("<a><b>kept</b><c>also")
    assert extracted.text == "b: kept\nc: also"
    assert extracted.warnings[0].startswith("is no valid XML (line 1: ")


def test_xml_nested_too_deeply_is_read_in_part() -> None:
    extracted = formats.read(b"<a><b>kept</b>" + b"<c>" * 100_000, "a.xml")[1]
    assert extracted.text.startswith("b: kept\n\nc\n\nc.c.c.c")
    assert "depth" in extracted.warnings[0]


@pytest.mark.parametrize("data", [b"not xml", b"<", b"<!-- -->", b" \n"])
def test_xml_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is no XML file"):
        read(data, "a.xml")


def test_xml_reads_the_declared_encoding() -> None:
    assert read("<?xml version='1.0' encoding='koi8-r'?><a><b>текст</b></a>".encode("koi8-r"), "a").text == "b: текст"
    assert read("<?xml version='1.0' encoding='UTF-16'?><a><b>é</b></a>".encode("utf-16"), "a").text == "b: é"


def test_xml_that_is_a_web_page_is_read_as_one() -> None:
    assert read_text("<html xmlns='http://www.w3.org/1999/xhtml'><body><nav>n</nav><p>x</p></body></html>").text == "x"
