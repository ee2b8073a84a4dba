import { Empty } from "../parts/empty.js";
import { html } from "../view.js";

export default function Playground() {
  return html`<h1>Playground</h1>
    <${Empty} title="Nothing here yet" />`;
}
