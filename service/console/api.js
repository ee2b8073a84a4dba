// Calls of the service's API, with the key that the page was given.

const BASE = new URL("../", import.meta.url);
const KEY = "darling-key";

/** What the service refused and why: RFC 9457, as every route answers it. */
export class Problem extends Error {
  constructor(status, title, detail, errors = []) {
    super(detail || title);
    Object.assign(this, { status, title, detail, errors });
  }
}

/** The bytes of a text as the characters of a header, which holds no others. */
const inHeader = (text) => String.fromCharCode(...new TextEncoder().encode(text));

let askForKey = null;
let asking = null;

/** Registers `ask`, which shows a form and resolves with the key that a person has entered. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/**
 * The answer of `path`, parsed if it is JSON. A `body` is sent by POST. Asks for a key when the
 * service wants one. `waits`: whether to ask again while the service is not ready, as at its start.
 * Throws `Problem`, or an `AbortError` after `signal`.
 */
export async function call(path, { body, signal, waits = false } = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${inHeader(key)}` } : {};
  const request = { headers, signal };
  if (body !== undefined) {
    request.method = "POST";
    request.body = JSON.stringify(body);
    headers["content-type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(new URL(path, BASE), request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer", "check that it runs, and try again");
  }
  if (response.status === 401 && askForKey) {
    // Calls that wait together ask once; one that was sent with an older key tries the new one.
    if (sessionStorage.getItem(KEY) === key) {
      asking ??= askForKey(key !== null).then((entered) => {
        sessionStorage.setItem(KEY, entered);
        asking = null;
      });
      await asking;
    }
    return call(path, { body, signal, waits });
  }
  if (response.status === 503 && waits) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * (response.headers.get("retry-after") || 1)));
    return call(path, { body, signal, waits });
  }
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  const answer = isJson ? await response.json() : await response.text();
  if (!response.ok) {
    throw new Problem(response.status, answer.title ?? response.statusText, answer.detail, answer.errors);
  }
  return answer;
}

/** The URL of the service as its callers write it, without a slash at its end. */
export const serviceUrl = BASE.href.replace(/\/$/, "");
