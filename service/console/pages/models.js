import { Empty } from "../parts/empty.js";
import { html } from "../view.js";

export default function Models() {
  return html`<h1>Models</h1>
    <${Empty} title="Nothing here yet" />`;
}
