// The page's state in its link, compressed: what stands behind the # is never sent to a server.

/** Characters of a link that chat programs and browsers keep whole. */
const MAX_LINK_CHARS = 16_000;
/** Characters that a link may unfold to, so that a hostile one cannot fill the memory. */
const MAX_STATE_CHARS = 4_000_000;

/** The state as a part of a link, or null where it would be too long for one. */
export async function packed(state) {
  const json = JSON.stringify(state);
  if (json.length > MAX_STATE_CHARS) return null;
  const stream = new Blob([json]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const safe = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return safe.length > MAX_LINK_CHARS ? null : safe;
}

/** The state of a link. Throws an `Error` if it is damaged. */
export async function unpacked(safe) {
  try {
    const text = atob(safe.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const decoder = new TextDecoder();
    let json = "";
    for (const reader = stream.getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      json += decoder.decode(value, { stream: true });
      if (json.length > MAX_STATE_CHARS) throw new Error("it unfolds to too much");
    }
    return JSON.parse(json);
  } catch {
    throw new Error("this link is damaged or was cut off; ask for it again, or paste the group itself");
  }
}
