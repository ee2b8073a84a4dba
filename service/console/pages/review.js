import { Empty } from "../parts/empty.js";
import { html } from "../view.js";

export default function Review() {
  return html`<h1>Review</h1>
    <${Empty} title="Nothing here yet" />`;
}
