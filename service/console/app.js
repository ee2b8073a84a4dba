// The frame around every page: navigation, the theme, the key, and which page the hash names.
import { onKeyNeeded } from "./api.js";
import { Failure } from "./parts/problem.js";
import { KeyForm } from "./parts/key_form.js";
import { ThemeButton } from "./parts/theme_button.js";
import { html, render, useEffect, useState } from "./view.js";

const PAGES = {
  playground: { title: "Playground", load: () => import("./pages/playground.js") },
  runs: { title: "Runs", load: () => import("./pages/runs.js") },
  review: { title: "Review", load: () => import("./pages/review.js") },
  models: { title: "Models", load: () => import("./pages/models.js") },
};

/** The page that the hash names, and the parameters behind its question mark. */
function currentRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { page: Object.hasOwn(PAGES, path) ? path : "playground", query: new URLSearchParams(query) };
}

function App() {
  const [route, setRoute] = useState(currentRoute);
  const [keyForm, setKeyForm] = useState(null);
  useEffect(() => {
    const follow = () => setRoute(currentRoute());
    addEventListener("hashchange", follow);
    onKeyNeeded(
      (refused) =>
        new Promise((resolve) =>
          setKeyForm({
            refused,
            enter: (key) => {
              setKeyForm(null);
              resolve(key);
            },
          }),
        ),
    );
    return () => removeEventListener("hashchange", follow);
  }, []);
  return html`
    <a class="skip" href="#main" onClick=${skipToMain}>Skip to content</a>
    <header class="top">
      <a class="brand" href="#/playground"><img src="icon.svg" alt="" width="26" height="26" />Darling Reward</a>
      <nav aria-label="Pages">
        ${Object.entries(PAGES).map(
          ([name, page]) => html`
            <a href="#/${name}" aria-current=${name === route.page ? "page" : null}>${page.title}</a>
          `,
        )}
      </nav>
      <div class="top-end">
        <a href="../docs">API</a>
        <${ThemeButton} />
      </div>
    </header>
    <main id="main" tabindex="-1">
      ${keyForm && html`<${KeyForm} ...${keyForm} />`}
      <${Page} key=${route.page} name=${route.page} query=${route.query} />
    </main>
  `;
}

function skipToMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** A page, once its module has come. */
function Page({ name, query }) {
  const [shown, setShown] = useState({});
  useEffect(() => {
    document.title = `${PAGES[name].title} · Darling Reward`;
    PAGES[name].load().then(
      (module) => setShown({ Component: module.default }),
      (error) => setShown({ error }),
    );
  }, [name]);
  if (shown.error) return html`<${Failure} error=${shown.error} />`;
  const { Component } = shown;
  return Component ? html`<${Component} query=${query} />` : null;
}

render(html`<${App} />`, document.getElementById("app"));
