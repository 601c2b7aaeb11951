// Markdown as elements: paragraphs, headings, lists, tables, quotes, code, emphasis. Links and images of an answer are
// shown as text and never loaded: what a model writes may have been dictated by a document.
//
// Every block and every run of text knows where it stands in the answer, so that sentences can be told apart by offset.
import { h } from "./dom.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const INLINE =
  /(`+)(.+?)\1(?!`)|\*\*(?=\S)([^]+?)\*\*|(?<![\w*])[*_](?=\S)([^*_\n]+?)(?<=\S)[*_](?![\w*])|!\[([^\]]*)\]\([^)]*\)|\[([^\]]+)\]\(([^)\s]*)[^)]*\)|\[(\d{1,3})\]/g;
const TAB = 4;

/** What a text looks like of which nothing is known but its words, as while it grows. */
export const plain = {
  run: (text) => [text],
  marker: (number, raw) => h("span", { class: "marker" }, raw.slice(1, -1)),
  tails: () => [],
};

/**
 * Cut a text into blocks, each { kind, start, end, lines: [{ start, end }] }; an open fence is a block that grows.
 *
 * from: where a block begins, when those before it are known.
 */
export function blocks(text, from = 0) {
  const found = [];
  let block = null;
  let fence = null;
  const begin = (kind, line) => found.push((block = { kind, start: line.start, end: line.end, lines: [] }));
  for (const line of linesOf(text, from)) {
    const said = text.slice(line.start, line.end);
    const opens = said.match(FENCE);
    if (fence) {
      block.end = line.end;
      if (opens && opens[1].startsWith(fence)) fence = block = null;
      else block.lines.push(line);
    } else if (opens) {
      fence = opens[1];
      begin("code", line);
    } else if (!said.trim()) {
      if (block?.kind !== "list") block = null;
    } else {
      const kind = kindOf(said, block, text);
      if (kind === "table" && block.kind === "p") block.kind = "table";
      else if (block?.kind !== kind || kind === "heading") begin(kind, line);
      block.lines.push(line);
      block.end = line.end;
    }
  }
  return found;
}

function* linesOf(text, from) {
  for (let start = from; start <= text.length; ) {
    const at = text.indexOf("\n", start);
    const end = at < 0 ? text.length : at;
    yield { start, end };
    start = end + 1;
  }
}

function kindOf(said, block, text) {
  if (/^ {0,3}#{1,6}\s/.test(said)) return "heading";
  if (RULE.test(said)) return "rule";
  if (/^ {0,3}>/.test(said)) return "quote";
  if (ITEM.test(said)) return "list";
  if (block?.kind === "list" && /^\s/.test(said)) return "list";
  if (block?.kind === "table" && said.includes("|")) return "table";
  if (block?.kind === "p" && block.lines.length === 1 && DIVIDER.test(said) && said.includes("-")) {
    if (text.slice(block.start, block.end).includes("|")) return "table";
  }
  return "p";
}

/** Make the element of a block; weave says how its words are shown, see `plain`. */
export function element(block, text, weave = plain) {
  const words = (start, end) => inline(text, start, end, weave);
  const made = build(block, text, words);
  const last = made.matches("pre, hr") ? null : made;
  const tails = weave.tails(block.end);
  if (!tails.length) return made;
  if (!last) return h("div", { class: "block" }, made, h("p", {}, tails));
  (last.matches("p, blockquote") ? last : (last.querySelector("li:last-child, tr:last-child > :last-child") ?? last)).append(
    ...tails,
  );
  return made;
}

function build(block, text, words) {
  switch (block.kind) {
    case "code":
      return h(
        "pre",
        { tabindex: "0" },
        h("code", {}, block.lines.map((line) => text.slice(line.start, line.end)).join("\n")),
      );
    case "rule":
      return h("hr");
    case "heading": {
      const marks = text.slice(block.start, block.end).match(/^\s*#+\s+/)[0].length;
      return h("p", { class: "heading" }, h("strong", {}, words(block.start + marks, block.end)));
    }
    case "quote":
      return h("blockquote", {}, block.lines.flatMap((line) => [words(stripped(text, line, /^\s*>\s?/), line.end), " "]));
    case "list":
      return list(block, text, words);
    case "table":
      return table(block, text, words);
    default:
      return h("p", {}, words(block.start, block.end));
  }
}

const stripped = (text, line, what) => line.start + (text.slice(line.start, line.end).match(what)?.[0].length ?? 0);

function list(block, text, words) {
  const roots = [];
  const open = []; // the lists that are open, outermost first: { depth, element }
  let item = null;
  const close = () => {
    if (item) item.element.prepend(...words(item.start, item.end));
    item = null;
  };
  for (const line of block.lines) {
    const found = text.slice(line.start, line.end).match(ITEM);
    if (!found) {
      if (item) item.end = line.end;
      continue;
    }
    close();
    const depth = found[1].replaceAll("\t", " ".repeat(TAB)).length;
    while (open.length > 1 && open.at(-1).depth > depth) open.pop();
    const parent = open.at(-1);
    const kind = found[2] ? "OL" : "UL";
    if (!parent || depth > parent.depth + 1 || (parent.depth === depth && parent.element.tagName !== kind)) {
      if (parent && depth <= parent.depth + 1) open.pop();
      const fresh = h(kind);
      const holder = open.at(-1)?.element.lastElementChild;
      if (holder) holder.append(fresh);
      else roots.push(fresh);
      open.push({ depth, element: fresh });
    }
    item = { start: line.start + found[0].length, end: line.end, element: h("li", { value: found[2] ?? null }) };
    open.at(-1).element.append(item.element);
  }
  close();
  return roots.length === 1 ? roots[0] : h("div", { class: "block" }, roots);
}

function table(block, text, words) {
  const rows = block.lines
    .filter((_, index) => index !== 1)
    .map((line, index) =>
      h(
        "tr",
        {},
        cells(text, line).map(([start, end]) =>
          h(index ? "td" : "th", index ? {} : { scope: "col" }, words(start, end)),
        ),
      ),
    );
  return h(
    "div",
    { class: "grid", tabindex: "0" },
    h("table", {}, h("thead", {}, rows[0]), h("tbody", {}, rows.slice(1))),
  );
}

/** Return where the cells of a table's row stand. */
function cells(text, line) {
  const found = [];
  let start = stripped(text, line, /^\s*\|/);
  for (let at = start; at <= line.end; at += 1) {
    if (at < line.end && (text[at] !== "|" || text[at - 1] === "\\")) continue;
    if (at < line.end || text.slice(start, at).trim()) found.push([start, at]);
    start = at + 1;
  }
  return found.map(([from, to]) => {
    const cell = text.slice(from, to);
    return [from + cell.length - cell.trimStart().length, to - (cell.length - cell.trimEnd().length)];
  });
}

function inline(text, from, to, weave) {
  const nodes = [];
  let at = from;
  for (const match of text.slice(from, to).matchAll(INLINE)) {
    const [whole, , code, bold, slanted, image, label, address, number] = match;
    const begin = from + match.index;
    if (begin > at) nodes.push(...weave.run(text.slice(at, begin), at));
    at = begin + whole.length;
    if (code !== undefined) nodes.push(h("code", {}, code));
    else if (bold !== undefined) nodes.push(h("strong", {}, inline(text, begin + 2, at - 2, weave)));
    else if (slanted !== undefined) nodes.push(h("em", {}, inline(text, begin + 1, at - 1, weave)));
    else if (image !== undefined) nodes.push(...weave.run(`[image: ${image}]`, begin));
    else if (label !== undefined) nodes.push(...weave.run(`${label} (${address})`, begin));
    else nodes.push(weave.marker(Number(number), whole, begin));
  }
  if (to > at) nodes.push(...weave.run(text.slice(at, to), at));
  return nodes;
}
