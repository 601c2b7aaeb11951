// Finding a quote in a page's text: only letters and digits are compared, because spaces, ligatures, dashes and line
// breaks differ between what read the file for the index and what draws it here.

const PIECE = 12;
const ENOUGH = 0.7;

/** Fold texts that follow each other into one string, with the way back: at[i] is [text, offset] of its i-th letter. */
export function folded(texts) {
  let letters = "";
  const at = [];
  texts.forEach((text, index) => {
    let offset = 0;
    for (const point of text) {
      for (const letter of point.normalize("NFKD").toLowerCase().matchAll(/[\p{L}\p{N}]/gu)) {
        letters += letter[0];
        for (let unit = 0; unit < letter[0].length; unit += 1) at.push([index, offset, offset + point.length]);
      }
      offset += point.length;
    }
  });
  return { letters, at };
}

/** Return where a quote stands in texts: { from: [text, offset], to: [text, offset] }; null rather than a wrong place. */
export function locate(quote, texts) {
  const wanted = folded([quote]).letters;
  if (!wanted) return null;
  const page = folded(texts);
  let start = page.letters.indexOf(wanted);
  if (start < 0) start = voted(wanted, page.letters);
  if (start === null) return null;
  const end = Math.min(start + wanted.length, page.at.length) - 1;
  const [first, last] = [page.at[Math.max(0, start)], page.at[end]];
  return { from: [first[0], first[1]], to: [last[0], last[2]] };
}

/** Let the quote's pieces vote on where it begins; furniture in its middle must not hide it. */
function voted(wanted, letters) {
  const votes = new Map();
  let pieces = 0;
  for (let at = 0; at + PIECE <= wanted.length; at += PIECE) {
    pieces += 1;
    const piece = wanted.slice(at, at + PIECE);
    for (let found = letters.indexOf(piece); found >= 0; found = letters.indexOf(piece, found + 1))
      votes.set(found - at, (votes.get(found - at) ?? 0) + 1);
  }
  const [best] = [...votes].sort((one, other) => other[1] - one[1]);
  return best && best[1] >= ENOUGH * pieces ? best[0] : null;
}
