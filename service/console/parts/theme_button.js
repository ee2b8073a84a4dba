// Light or dark: the system's choice, until a person makes another.
import { html, useEffect, useState } from "../view.js";

const STORED = "darling-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

/** Calls `follow` whenever the page turns light or dark. Returns what ends that. */
export function onThemeChange(follow) {
  system.addEventListener("change", follow);
  addEventListener("darling-theme", follow);
  return () => {
    system.removeEventListener("change", follow);
    removeEventListener("darling-theme", follow);
  };
}

export function ThemeButton() {
  const [dark, setDark] = useState(isDark);
  useEffect(() => onThemeChange(() => setDark(isDark())), []);
  const toggle = () => {
    const theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(STORED, theme);
    dispatchEvent(new Event("darling-theme"));
  };
  return html`
    <button class="icon-button" type="button" onClick=${toggle} aria-label=${dark ? "Light theme" : "Dark theme"}>
      ${dark
        ? html`<svg viewBox="0 0 24 24" aria-hidden="true">
            <circle cx="12" cy="12" r="4.5" />
            <path d="M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8" />
          </svg>`
        : html`<svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z" />
          </svg>`}
    </button>
  `;
}
