// Asks for the API key of a service that has one.
import { html, useEffect, useRef } from "../view.js";

/** `enter` gets the key. `refused` says whether the one before was wrong. */
export function KeyForm({ refused, enter }) {
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    const key = field.current.value.trim();
    if (key) enter(key);
  };
  return html`
    <form class="card key-form" onSubmit=${submit}>
      <h2>This service asks for an API key</h2>
      ${refused && html`<p class="bad" role="alert">The service refused that key. Enter another one.</p>`}
      <label for="api-key">API key</label>
      <div class="row">
        <input id="api-key" ref=${field} type="password" autocomplete="off" required />
        <button class="primary" type="submit">Continue</button>
      </div>
      <p class="hint">It is kept in this tab until you close it, and sent to this service alone.</p>
    </form>
  `;
}
