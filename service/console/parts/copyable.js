// Code with a button that copies it.
import { html, useState } from "../view.js";

/** Milliseconds that "Copied" is shown. */
const SHOWN_MS = 1600;

/** Whether the text is in the clipboard. Pages without TLS have only the second, older means. */
async function copyText(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}

export function CopyButton({ text, children, disabled }) {
  const [said, setSaid] = useState(null);
  const copy = async () => {
    const copied = await copyText(typeof text === "function" ? await text() : text);
    setSaid(copied ? "Copied" : "The browser refused; select and copy by hand");
    setTimeout(() => setSaid(null), SHOWN_MS);
  };
  return html`
    <button type="button" disabled=${disabled} onClick=${copy}>${said ?? children}</button>
    <span class="visually-hidden" role="status">${said}</span>
  `;
}

/** `tabs` are `[title, code]`. */
export function CodeTabs({ tabs, label }) {
  const [open, setOpen] = useState(0);
  const move = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = (open + step + tabs.length) % tabs.length;
    setOpen(next);
    event.currentTarget.children[next].focus();
  };
  return html`
    <div class="tab-row">
      <div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
        ${tabs.map(
          ([title], index) => html`
            <button
              type="button"
              role="tab"
              aria-selected=${index === open}
              tabindex=${index === open ? 0 : -1}
              onClick=${() => setOpen(index)}
            >
              ${title}
            </button>
          `,
        )}
      </div>
      <${CopyButton} text=${tabs[open][1]}>Copy<//>
    </div>
    <div role="tabpanel" class="code" aria-label=${tabs[open][0]}>
      <pre tabindex="0"><code>${tabs[open][1]}</code></pre>
    </div>
  `;
}
