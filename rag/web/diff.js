// Which words of a text another one does not have in the same order.

const MOST_WORDS = 600;

/** Return the pieces of `text` as [words, differs]; everything is equal where either text is too long to compare. */
export function differences(text, other) {
  const own = text.split(/(?<=\s)(?=\S)/u);
  const theirs = other.split(/\s+/u).filter(Boolean);
  if (own.length > MOST_WORDS || theirs.length > MOST_WORDS) return [[text, false]];
  const shared = common(own.map(bare), theirs.map(bare));
  const pieces = [];
  own.forEach((word, index) => {
    const differs = !shared.has(index);
    if (pieces.at(-1)?.[1] === differs) pieces.at(-1)[0] += word;
    else pieces.push([word, differs]);
  });
  return pieces;
}

const bare = (word) => word.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();

/** Return which of `own` belong to the longest common subsequence. */
function common(own, theirs) {
  const width = theirs.length + 1;
  const longest = new Uint16Array((own.length + 1) * width);
  for (let i = own.length - 1; i >= 0; i -= 1)
    for (let j = theirs.length - 1; j >= 0; j -= 1)
      longest[i * width + j] =
        own[i] === theirs[j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  const shared = new Set();
  for (let i = 0, j = 0; i < own.length && j < theirs.length; ) {
    if (own[i] === theirs[j]) {
      shared.add(i);
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return shared;
}
