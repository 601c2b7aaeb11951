// A small part of Markdown as elements: paragraphs, headings, lists, code, bold. Links and images of an answer are
// shown as text and never loaded: what a model writes may have been dictated by a document.
import { h } from "./dom.js";

const FENCE = /^ {0,3}(```|~~~)/;
const ITEM = /^ {0,3}(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|!\[([^\]]*)\]\([^)]*\)|\[([^\]]+)\]\(([^)\s]*)[^)]*\)|\[(\d{1,3})\]/g;

/** Cut a text into blocks; each is { kind, lines }, and an open fence is a block that grows. */
export function blocks(text) {
  const found = [];
  let block = null;
  let fence = null;
  for (const line of text.split("\n")) {
    const opens = line.match(FENCE);
    if (fence) {
      if (opens && opens[1] === fence) fence = block = null;
      else block.lines.push(line);
    } else if (opens) {
      fence = opens[1];
      found.push((block = { kind: "code", lines: [] }));
    } else if (!line.trim()) {
      if (block?.kind !== "ol") block = null;
    } else {
      const kind = kindOf(line);
      const goesOn =
        block &&
        (block.kind === kind || (kind === "p" && (block.kind === "ul" || block.kind === "ol") && /^\s/.test(line)));
      if (!goesOn || kind === "heading") found.push((block = { kind, lines: [] }));
      block.lines.push(line);
    }
  }
  return found;
}

function kindOf(line) {
  if (/^#{1,6}\s/.test(line)) return "heading";
  const item = line.match(ITEM);
  return item ? (item[1] ? "ol" : "ul") : "p";
}

/** Make the element of a block; marker(number) gives what stands for [number]. */
export function element(block, marker) {
  const text = block.lines.join("\n");
  switch (block.kind) {
    case "code":
      return h("pre", { tabindex: "0" }, h("code", {}, text));
    case "heading":
      return h("p", {}, h("strong", {}, inline(text.replace(/^#+\s+/, ""), marker)));
    case "ul":
    case "ol": {
      const items = [];
      for (const line of block.lines) {
        const item = line.match(ITEM);
        if (item) items.push({ value: item[1], text: item[2] });
        else items[items.length - 1].text += ` ${line.trim()}`;
      }
      return h(
        block.kind,
        {},
        items.map((item) => h("li", { value: item.value }, inline(item.text, marker))),
      );
    }
    default:
      return h("p", {}, inline(text, marker));
  }
}

function inline(text, marker) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, , code, bold, image, label, address, number] = match;
    nodes.push(text.slice(at, match.index));
    at = match.index + whole.length;
    if (code !== undefined) nodes.push(h("code", {}, code));
    else if (bold !== undefined) nodes.push(h("strong", {}, inline(bold, marker)));
    else if (image !== undefined) nodes.push(`[image: ${image}]`);
    else if (label !== undefined) nodes.push(`${label} (${address})`);
    else nodes.push(marker(Number(number), whole));
  }
  nodes.push(text.slice(at));
  return nodes.filter((node) => node !== "");
}
