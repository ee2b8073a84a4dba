// A subset of Markdown as elements, never as markup: headings, paragraphs, lists, tables, code.
import { html } from "../view.js";

/** The blocks of a document: `{kind, ...}` with heading, text, list, table or code. */
export function blocksOf(markdown) {
  const lines = withoutFrontMatter(markdown.replaceAll("\r", "")).split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (line.trim() === "" || /^!\[.*\]\(.*\)$/.test(line.trim()) || line.startsWith("<!--")) {
      at++;
    } else if (heading) {
      blocks.push({ kind: "heading", level: heading[1].length, text: heading[2] });
      at++;
    } else if (line.startsWith("```")) {
      const code = [];
      for (at++; at < lines.length && !lines[at].startsWith("```"); at++) code.push(lines[at]);
      blocks.push({ kind: "code", text: code.join("\n") });
      at++;
    } else if (line.startsWith("|") && /^\|[\s:|-]+\|?\s*$/.test(lines[at + 1] ?? "")) {
      const rows = [];
      for (; at < lines.length && lines[at].startsWith("|"); at++) rows.push(cellsOf(lines[at]));
      blocks.push({ kind: "table", head: rows[0], rows: rows.slice(2) });
    } else if (ITEM.test(line)) {
      const items = [];
      for (; at < lines.length && lines[at].trim() !== ""; at++) {
        const item = ITEM.exec(lines[at]);
        if (item) items.push({ depth: item[1].length > 0 ? 1 : 0, text: item[2] });
        else items.at(-1).text += ` ${lines[at].trim()}`;
      }
      blocks.push({ kind: "list", items });
    } else {
      const words = [];
      for (; at < lines.length && lines[at].trim() !== "" && !/^(#|```|\|)/.test(lines[at]); at++) {
        words.push(lines[at].trim());
      }
      if (words.length === 0) words.push(lines[at++]); // a line that only looked like a table
      blocks.push({ kind: "text", text: words.join(" ") });
    }
  }
  return blocks;
}

const ITEM = /^(\s*)[-*]\s+(.*)$/;

function withoutFrontMatter(markdown) {
  return markdown.replace(/^---\n[\s\S]*?\n---\n/, "");
}

function cellsOf(line) {
  return line.replace(/^\||\|\s*$/g, "").split("|").map((cell) => cell.trim());
}

/** A document of which the top heading is an h2. */
export function Markdown({ blocks }) {
  return html`<div class="prose">${blocks.map((block) => html`<${Block} ...${block} />`)}</div>`;
}

function Block({ kind, level, text, items, head, rows }) {
  if (kind === "heading") return level === 1 ? html`<h2>${inline(text)}</h2>` : html`<h3>${inline(text)}</h3>`;
  if (kind === "code") return html`<pre tabindex="0"><code>${text}</code></pre>`;
  if (kind === "text") return html`<p>${inline(text)}</p>`;
  if (kind === "list") {
    return html`<ul>
      ${items.map((item) => html`<li class=${item.depth ? "deeper" : ""}>${inline(item.text)}</li>`)}
    </ul>`;
  }
  return html`
    <div class="table-frame" tabindex="0" role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            ${head.map((cell) => html`<th scope="col">${inline(cell)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => html`<tr>
            ${row.map((cell) => html`<td>${inline(cell)}</td>`)}
          </tr>`)}
        </tbody>
      </table>
    </div>
  `;
}

/** Code, bold words and links of a line. A link is kept if it leads to the web. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|!?\[[^\]]*\]\([^)]*\))/).map((part, index) => {
    if (index % 2 === 0) return part;
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    if (part.startsWith("**")) return html`<strong>${part.slice(2, -2)}</strong>`;
    const [, words, target] = /^!?\[([^\]]*)\]\(([^)]*)\)$/.exec(part);
    if (part.startsWith("!") || !/^https?:\/\//.test(target)) return words;
    return html`<a href=${target} rel="noopener noreferrer" target="_blank">${words}</a>`;
  });
}
