// How a class of a partition looks wherever it is shown: a letter, and one of eight colours.
import { html } from "../view.js";

/** Colours that people tell apart; the classes beyond them have hollow chips. */
const COLOURS = 8;

/** The letters of a class number: A to Z, then AA, AB and so on. */
export function letterOf(number) {
  const last = String.fromCharCode(65 + (number % 26));
  return number < 26 ? last : letterOf(Math.floor(number / 26) - 1) + last;
}

/** The CSS classes that give a class its colour; those beyond the eighth are hollow. */
export function toneOf(number) {
  return `tone-${number % COLOURS}${number >= COLOURS ? " hollow" : ""}`;
}

/** The custom property that holds the colour of a class. */
export function colourOf(number) {
  return `--class-${number % COLOURS}`;
}

export function ClassChip({ number }) {
  return html`<span class="chip ${toneOf(number)}"
    ><span class="visually-hidden">Class </span>${letterOf(number)}</span
  >`;
}
