// What a recording extension does with its deck: send, poll, read back. Everything crosses origins.

async function gzip(text) {
  return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

async function call(deck, path, { headers = {}, ...rest } = {}) {
  const response = await fetch(deck.url + path, { ...rest, headers: { "X-API-Key": deck.key, ...headers } });
  const text = await response.text();
  const exposed = Object.fromEntries(response.headers);
  return { status: response.status, headers: exposed, body: text && JSON.parse(text) };
}

/** POST a recording (an envelope as JSON text), compressed, with an idempotency key. */
export async function send(deck, envelope, idempotencyKey) {
  const headers = { "Content-Type": "application/json", "Content-Encoding": "gzip", "Idempotency-Key": idempotencyKey };
  return call(deck, "/api/v1/recordings", { method: "POST", headers, body: await gzip(envelope) });
}

/** Ask until the recording is `ready` or `failed`; the server holds each answer until something changes. */
export async function settled(deck, id) {
  for (;;) {
    const answer = await call(deck, `/api/v1/recordings/${id}`, { headers: { Prefer: "wait=20" } });
    if (answer.status !== 200 || ["ready", "failed"].includes(answer.body.status)) return answer;
  }
}

export async function events(deck, id, query = "") {
  return call(deck, `/api/v1/recordings/${id}/events${query}`);
}

/** The same again with the ETag: a 304 must reach the page. */
export async function unchanged(deck, id, etag) {
  return call(deck, `/api/v1/recordings/${id}`, { headers: { "If-None-Match": etag }, cache: "no-store" });
}

export async function remove(deck, id) {
  return call(deck, `/api/v1/recordings/${id}`, { method: "DELETE" });
}
