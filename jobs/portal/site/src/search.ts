// Search in Chinese and English without an index server: words by Intl.Segmenter, pairs of characters where it has none.

export interface Searched { slug: string; title: string; text: string }

const HAN = /\p{Script=Han}/u;

/** Return the words of a query, lower case, without marks and blanks. */
export function words(query: string): string[] {
  const text = query.normalize("NFKC").toLowerCase();
  const parts = typeof Intl.Segmenter === "function"
    ? [...new Intl.Segmenter("zh", { granularity: "word" }).segment(text)].filter((one) => one.isWordLike).map((one) => one.segment)
    : text.split(/[^\p{L}\p{N}_]+/u).flatMap((part) => (HAN.test(part) ? pairs(part) : [part]));
  return [...new Set(parts.filter((part) => part.trim() !== ""))];
}

/** Return the pairs of neighbouring characters of a text, or the text itself when it has one. */
export function pairs(text: string): string[] {
  const letters = [...text];
  return letters.length < 2 ? [text] : letters.slice(1).map((letter, n) => `${letters[n]}${letter}`);
}

/** Return how well a dataset answers a query; 0 when a word is nowhere, a title counts four times. */
export function score(one: Searched, query: string[]): number {
  const title = one.title.normalize("NFKC").toLowerCase();
  const text = one.text.normalize("NFKC").toLowerCase();
  let total = 0;
  for (const word of query) {
    const found = part(title, word) * 4 + part(text, word);
    if (found === 0) return 0;
    total += found;
  }
  return total;
}

// A Chinese word that is nowhere as it stands still counts when most of its pairs are there: segmentation differs.
function part(text: string, word: string): number {
  if (text.includes(word)) return 1;
  if (!HAN.test(word) || [...word].length < 3) return 0;
  const all = pairs(word);
  const there = all.filter((pair) => text.includes(pair)).length;
  return there / all.length > 0.5 ? there / all.length / 2 : 0;
}
