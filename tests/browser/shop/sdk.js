// What an SDK in a page does: records with rrweb, sends batches while the page lives, and the rest when it is left.
//
// A batch that gets no answer is sent again, the same bytes: the deck knows it again. Only one is under way at a time.
// "final" ends the session, so it is said only when every batch before has been answered: one that arrived after it
// would begin another recording.

const BATCH_EVENTS = 20;
const RETRY_MS = 100;
const BEACON_BYTES = 60_000; // browsers take 64 KiB at a time from a page that is left

class Sdk {
  /** `ending`: how the last batch is sent, "beacon" or "keepalive". */
  constructor({ url, key, sessionId, ending }) {
    Object.assign(this, { url, key, sessionId, ending });
    this.recorded = []; // for the test: what the deck must have in the end
    this.waiting = [];
    this.underWay = null;
    this.holdsBack = false; // what is recorded waits until the page is left
    this.tries = 0;
    this.stopRecording = rrweb.record({ emit: (event) => this.add("rrweb", event, event.timestamp) });
    addEventListener("pagehide", () => this.leave());
  }

  add(eventType, data, timestampMillis = Date.now()) {
    this.recorded.push({ eventType, data, timestampMillis });
    this.waiting.push({ eventType, eventData: JSON.stringify(data), url: location.href, timestampMillis });
    if (!this.underWay && !this.holdsBack) this.sendAll();
  }

  body(events, more = {}) {
    return JSON.stringify({ fingerprint: this.sessionId, sessionId: this.sessionId, events, ...more });
  }

  async sendAll() {
    while (this.waiting.length && !this.holdsBack) {
      this.underWay = this.body(this.waiting.splice(0, BATCH_EVENTS));
      while (!(await this.post(this.underWay))) await new Promise((done) => setTimeout(done, RETRY_MS));
    }
    this.underWay = null;
  }

  /** Whether that batch is done with: accepted, or refused for good. */
  async post(body, more = {}) {
    this.tries += 1;
    const headers = { "Content-Type": "application/json", "X-SeeStack-Key": this.key };
    try {
      const answer = await fetch(this.url, { method: "POST", headers, body, ...more });
      return ![408, 429].includes(answer.status) && answer.status < 500;
    } catch {
      return false;
    }
  }

  leave() {
    this.holdsBack = true;
    this.stopRecording();
    this.add("visibility_change", { hidden: true });
    const parts = this.underWay ? [this.underWay] : [];
    const rest = this.waiting.splice(0);
    while (rest.length) {
      let count = rest.length;
      while (count > 1 && this.body(rest.slice(0, count)).length > BEACON_BYTES) count = count >> 1;
      const isLast = count === rest.length && !this.underWay;
      parts.push(this.body(rest.splice(0, count), isLast ? { final: true } : {}));
    }
    for (const part of parts) this.lastWords(part);
  }

  lastWords(body) {
    if (this.ending === "keepalive") return void this.post(body, { keepalive: true });
    const url = `${this.url}?api_key=${encodeURIComponent(this.key)}`;
    navigator.sendBeacon(url, new Blob([body], { type: "text/plain" }));
  }
}
