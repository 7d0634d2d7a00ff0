// What a recording extension does with its deck: send, poll, read back. Everything crosses origins.

export const RECORDINGS = "/api/v1/recordings";

async function gzip(text) {
  return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

/** `deck` is {url, key}. Gives the status, the headers that this origin may see, and the body's text. */
export async function call(deck, path, { headers = {}, ...rest } = {}) {
  const response = await fetch(deck.url + path, { ...rest, headers: { "X-API-Key": deck.key, ...headers } });
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

/** POST a recording (an envelope as JSON text), compressed, with an idempotency key. */
export async function send(deck, envelope, idempotencyKey) {
  const headers = { "Content-Type": "application/json", "Content-Encoding": "gzip", "Idempotency-Key": idempotencyKey };
  return call(deck, RECORDINGS, { method: "POST", headers, body: await gzip(envelope) });
}

/** Ask until the recording is `ready` or `failed`; the server holds each answer until something changes. */
export async function settled(deck, id) {
  for (;;) {
    const answer = await call(deck, `${RECORDINGS}/${id}`, { headers: { Prefer: "wait=20" } });
    if (answer.status !== 200 || ["ready", "failed"].includes(JSON.parse(answer.text).status)) return answer;
  }
}

export async function events(deck, id, query = "") {
  return call(deck, `${RECORDINGS}/${id}/events${query}`);
}

/** The recording again, if it is not what this ETag says. */
export async function changed(deck, id, etag) {
  return call(deck, `${RECORDINGS}/${id}`, { headers: { "If-None-Match": etag }, cache: "no-store" });
}

/** Follow where the video is, with the key in this header, and read these bytes of it. */
export async function watch(deck, id, header, range) {
  const key = header === "Authorization" ? `Bearer ${deck.key}` : deck.key;
  const video = await fetch(`${deck.url}${RECORDINGS}/${id}/video`, { headers: { [header]: key, Range: range } });
  const bytes = (await video.arrayBuffer()).byteLength;
  return { status: video.status, type: video.headers.get("Content-Type"), bytes };
}

export async function remove(deck, id) {
  return call(deck, `${RECORDINGS}/${id}`, { method: "DELETE" });
}
