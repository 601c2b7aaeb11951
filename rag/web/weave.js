// How the words of a finished answer are shown: markers that open their quote, and sentences that nothing stands behind.
import { h } from "./dom.js";
import { strings } from "./strings.js";

export const WEAK_SUPPORT = 0.5;

/** Turn offsets that count code points, as the server gives them, into JavaScript's. */
export function inUnits(text, sentences) {
  const astral = /[\u{10000}-\u{10ffff}]/u.test(text);
  if (!astral) return sentences.map((sentence) => ({ ...sentence }));
  const points = Array.from(text);
  const units = [0];
  for (const point of points) units.push(units.at(-1) + point.length);
  const at = (offset) => units[Math.min(offset, points.length)];
  return sentences.map((sentence) => ({ ...sentence, start: at(sentence.start), end: at(sentence.end) }));
}

/**
 * Return the weave (see markdown.js) of an answer.
 *
 * button(citation, index) makes a marker that can be clicked.
 */
export function answerWeave({ answer: text, citations, sentences }, button) {
  const own = inUnits(text, sentences).map((sentence) => ({ ...sentence, ended: false }));
  const told = own.some((sentence) => sentence.citations.length);
  const computed = citations.some((citation) => citation.computed);
  const sentenceAt = (offset) => own.find((sentence) => sentence.start <= offset && offset < sentence.end);

  function run(words, offset) {
    const nodes = [];
    for (let at = 0; at < words.length; ) {
      const sentence = sentenceAt(offset + at);
      const next = sentence
        ? sentence.end
        : Math.min(...own.map((one) => one.start).filter((start) => start > offset + at), Infinity);
      const end = Math.min(words.length, next - offset);
      const piece = words.slice(at, end);
      if (sentence && told && !sentence.citations.length) nodes.push(h("span", { class: "unsupported" }, piece));
      else nodes.push(piece);
      at = end;
      if (sentence && offset + end >= sentence.end) nodes.push(...tail(sentence));
    }
    return nodes;
  }

  function tail(sentence) {
    if (sentence.ended) return [];
    sentence.ended = true;
    if (told && !sentence.citations.length)
      return [" ", h("span", { class: "no-source" }, strings.noSource)];
    return computed ? sentence.citations.map((index) => button(citations[index], index)) : [];
  }

  return {
    run,
    marker(number, raw, offset) {
      const sentence = sentenceAt(offset);
      const within = sentence?.citations.find((index) => citations[index].number === number);
      const index = within ?? citations.findIndex((citation) => citation.number === number);
      return index < 0 ? raw : button(citations[index], index);
    },
    tails: (end) => own.filter((sentence) => sentence.end <= end).flatMap(tail),
  };
}

/** Count the sentences of an answer that have a source. */
export function supported({ sentences }) {
  return { with: sentences.filter((sentence) => sentence.citations.length).length, all: sentences.length };
}
