// A place without content yet, which says what to do.
import { html } from "../view.js";

export function Empty({ title, children }) {
  return html`
    <div class="empty">
      <p class="empty-title">${title}</p>
      <div>${children}</div>
    </div>
  `;
}
