import { Empty } from "../parts/empty.js";
import { html } from "../view.js";

export default function Runs() {
  return html`<h1>Runs</h1>
    <${Empty} title="Nothing here yet" />`;
}
