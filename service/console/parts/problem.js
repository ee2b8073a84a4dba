// What went wrong, in the service's own words: its title, and the fault with its cure.
import { html } from "../view.js";

/** A `Problem` of the API, or any other error. `action` stands below it. */
export function Failure({ error, action }) {
  const faults = (error.errors ?? []).map(({ loc, msg }) => `${loc.join(".")}: ${msg}`);
  return html`
    <div class="problem" role="alert">
      <p class="problem-title">${error.title ?? "The console failed"}</p>
      ${faults.length
        ? html`<ul>
            ${faults.map((fault) => html`<li>${fault}</li>`)}
          </ul>`
        : html`<p>${error.detail ?? error.message}</p>`}
      ${action}
    </div>
  `;
}
