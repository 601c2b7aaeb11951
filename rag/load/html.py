"""
HTML: what a reader of the page sees of its main content, as plain text with headings, list items and tables.

Menus, banners, scripts and hidden elements are left out: they would be found by every question, and hidden text is a
known way to smuggle instructions to a model. The text is made here, so quotes are exact in it, not in the markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import lxml.html
from lxml import etree

from models.base import InputError
from rag.load.html_text import TextBuilder
from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import Heading, MetadataValue

_DECLARED = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_UNSEEN = {
    *("audio", "button", "canvas", "datalist", "dialog", "head", "iframe", "input", "nav", "noscript", "object"),
    *("script", "select", "style", "svg", "template", "textarea", "video"),
}
_UNSEEN_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu", "menubar"}
_FRAME_CLASSES = {"navheader", "navfooter"}
"""DocBook writes its links to the next and the previous page without any of the elements meant for that."""
_LISTS = {"ul", "ol"}
_FRAME = {"header", "footer", "aside"}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORD = re.compile(r"\w")
_XML = re.compile(r"\s*(<\?xml|<!DOCTYPE[^>]+XHTML)", re.IGNORECASE)
_SELF_CLOSED = re.compile(r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)(\w+)([^<>]*)/>")
"""Elements without content as XML may write them; read as HTML, an empty title would swallow the page."""
_MAIN = "//*[self::main or @role='main'][not(ancestor::main or ancestor::*[@role='main'])]"
_ARTICLES = "//article[not(ancestor::article)]"
_MAIN_SHARE = 0.5
_DESCRIPTIONS = {"author", "description", "keywords", "date"}


def read(data: bytes, name: str) -> Extracted:
    """
    Read a web page.

    Raises:
        InputError: the page shows no text.
    """
    declared = _DECLARED.search(data[:_DECLARED_WITHIN])
    markup, warnings = decode(data, declared[1].decode("ascii") if declared else "")
    extracted = _read(markup, framed=True)
    if not extracted.text:
        raise InputError("is a web page without any text; it may be one that a script fills in.")
    return replace(extracted, warnings=warnings + extracted.warnings)


def read_content(markup: str) -> Extracted:
    """Read markup that is content from end to end, like a chapter or a mail; the text is empty if nothing is shown."""
    return _read(markup, framed=False)


def _read(markup: str, framed: bool) -> Extracted:
    """Read markup; if it is ``framed``, headers, footers and what else stands around the main content are left out."""
    if _XML.match(markup):
        markup = _SELF_CLOSED.sub(r"<\1\2></\1>", markup)
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        page = lxml.html.document_fromstring(markup.encode(), parser=parser)
    except etree.ParserError:  # there is no element in it
        return Extracted("")
    cut = parser.error_log.filter_from_fatals()
    title, metadata = _title(page), _metadata(page)
    _drop_unseen(page, framed)
    text, headings = _render(page, framed)
    warnings = (f"was read only in part: {cut[0].message}.",) if cut else ()
    return Extracted(text, _shorter(title, headings), headings, metadata=metadata, warnings=warnings)


def _title(page: lxml.html.HtmlElement) -> str:
    """Return the title element's words."""
    return one_line(page.findtext(".//title") or "")


def _metadata(page: lxml.html.HtmlElement) -> Mapping[str, MetadataValue]:
    """Return the page's language and what its meta elements say of the common things."""
    fields: dict[str, MetadataValue] = {}
    if language := (page.get("lang") or "").strip():
        fields["language"] = one_line(language)
    for meta in page.iter("meta"):
        name, content = (meta.get("name") or "").lower(), one_line(meta.get("content") or "")
        if name in _DESCRIPTIONS and content:
            fields.setdefault(name, content)
    return fields


def _shorter(title: str, headings: tuple[Heading, ...]) -> str:
    """Take the first top heading for title if the title element only adds the site's name to it."""
    heading = next((h.title for h in headings if h.level == 1), "")
    return heading if heading and (heading in title or not title) else title


def _drop_unseen(page: lxml.html.HtmlElement, framed: bool) -> None:
    """Remove everything that is not part of what the page says."""
    for element in list(page.iter(etree.Element)):
        if _is_unseen(element) or (framed and _is_frame(element)):
            element.drop_tree()


def _is_unseen(element: lxml.html.HtmlElement) -> bool:
    tag, role = element.tag, element.get("role")
    if element.getparent() is None or tag == "body":
        return False
    if tag in _UNSEEN or role in _UNSEEN_ROLES or element.get("hidden") is not None:
        return True
    if element.get("aria-hidden") == "true" or _HIDDEN_STYLE.search(element.get("style") or ""):
        return element.find("math") is None  # for whom the picture of the formula is not, its text is
    return tag == "a" and (element.get("href") or "").startswith("#") and not _WORD.search(element.text_content())


def _is_frame(element: lxml.html.HtmlElement) -> bool:
    """Tell whether an element belongs to what is around the content on every page of a site."""
    if element.get("class") in _FRAME_CLASSES:
        return True
    if element.tag in _LISTS:
        return next(element.iterancestors("header", "footer"), None) is not None  # a menu, whatever it is called
    if element.tag not in _FRAME:
        return False
    # Inside the main content they are part of it: an article's header holds its title.
    return not any(map(_is_main, element.iterancestors())) and element.find(".//h1") is None


def _is_main(element: lxml.html.HtmlElement) -> bool:
    return element.tag in ("main", "article") or element.get("role") == "main"


def _render(page: lxml.html.HtmlElement, framed: bool) -> tuple[str, tuple[Heading, ...]]:
    """Write the main content if the page marks one that holds most of the text, else all of it."""
    main = _main(page) if framed else None
    holds_most = main is not None and _length(main) >= _MAIN_SHARE * _length(page)
    builder = TextBuilder()
    builder.write(main if main is not None and holds_most else page)
    return builder.result()


def _main(page: lxml.html.HtmlElement) -> lxml.html.HtmlElement | None:
    """Return the main content, else the only article; of several side by side none is more than the others."""
    for path in (_MAIN, _ARTICLES):
        if found := page.xpath(path):
            return found[0] if len(found) == 1 else None
    return None


def _length(element: lxml.html.HtmlElement) -> int:
    return len(element.text_content())
