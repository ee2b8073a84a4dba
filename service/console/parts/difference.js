// Two texts side by side, with the words that only one of them has marked.
import { html, useMemo } from "../view.js";

/** Words of one text times words of the other that are compared, which takes some 30 ms. */
const MAX_CELLS = 4_000_000;

/** A text's words, with the white space that follows each. */
function wordsOf(text) {
  return text.match(/\S+\s*|^\s+/g) ?? [];
}

/** What makes two words the same: not the marks that end a sentence or a part of it. */
function keyOf(word) {
  return word.trim().replace(/[.,;:!?]+$/, "");
}

/**
 * The two texts as lists of `[words, isShared]`, by a longest common subsequence of their words.
 * Texts that are too long for that share only their beginning and their end.
 */
export function differences(a, b) {
  const [first, second] = [wordsOf(a), wordsOf(b)];
  const [firstKeys, secondKeys] = [first.map(keyOf), second.map(keyOf)];
  const same = (i, j) => firstKeys[i] === secondKeys[j];
  let start = 0;
  while (start < first.length && start < second.length && same(start, start)) start++;
  let end = 0;
  while (
    end < first.length - start &&
    end < second.length - start &&
    same(first.length - 1 - end, second.length - 1 - end)
  ) {
    end++;
  }
  const [n, m] = [first.length - start - end, second.length - start - end];
  const shared = [new Array(first.length).fill(true), new Array(second.length).fill(true)];
  shared[0].fill(false, start, start + n);
  shared[1].fill(false, start, start + m);
  if (n * m <= MAX_CELLS) {
    // longest[i][j]: words that first[i..] and second[j..] have in common, in order.
    const longest = new Uint16Array((n + 1) * (m + 1));
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        longest[i * (m + 1) + j] = same(start + i, start + j)
          ? longest[(i + 1) * (m + 1) + j + 1] + 1
          : Math.max(longest[(i + 1) * (m + 1) + j], longest[i * (m + 1) + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < n && j < m; ) {
      if (same(start + i, start + j)) {
        shared[0][start + i++] = shared[1][start + j++] = true;
      } else if (longest[(i + 1) * (m + 1) + j] >= longest[i * (m + 1) + j + 1]) i++;
      else j++;
    }
  }
  return [runs(first, shared[0]), runs(second, shared[1])];
}

/** Neighbouring words that are alike in being shared, joined. */
function runs(words, shared) {
  const joined = [];
  words.forEach((word, index) => {
    const last = joined.at(-1);
    if (last && last[1] === shared[index]) last[0] += word;
    else joined.push([word, shared[index]]);
  });
  return joined;
}

/** `labels` stand above the two texts. */
export function Difference({ a, b, labels }) {
  const sides = useMemo(() => differences(a, b), [a, b]);
  return html`
    <div class="difference">
      ${sides.map(
        (side, index) => html`
          <figure>
            <figcaption>${labels[index]}</figcaption>
            <p class="text">
              ${side.map(([words, isShared]) => (isShared ? words : html`<mark>${words}</mark>`))}
            </p>
          </figure>
        `,
      )}
    </div>
  `;
}
