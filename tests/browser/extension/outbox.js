// Sends a recording with its video so that a service worker that is ended at any moment costs nothing.
//
// Chromium ends a worker after 30 idle seconds, and whenever it likes. So what is to be sent, and how far it got, is in
// IndexedDB before the first byte goes out; each step may be done twice; and an alarm wakes the worker while anything is left.

import { RECORDINGS, call, send } from "./client.js";

const ALARM = { name: "outbox", minutes: 1 / 30 };

/** Keep a recording until it is confirmed. `video` is base64; the key is what makes sending it again harmless. */
export async function record(deck, envelope, video, key) {
  const bytes = Uint8Array.from(atob(video), (character) => character.charCodeAt(0));
  const blob = new Blob([bytes], { type: "video/webm;codecs=vp9,opus" });
  await chrome.alarms.create(ALARM.name, { periodInMinutes: ALARM.minutes });
  await stored("readwrite", (left) => left.put({ key, deck, envelope, video: blob }));
  resume();
}

let resuming = null;

/** Go on with whatever is left; what fails now is tried again at the next alarm. */
export function resume() {
  resuming ??= drain().finally(() => (resuming = null));
  return resuming;
}

/** How much is left to send. */
export function left() {
  return stored("readonly", (recordings) => recordings.count());
}

async function drain() {
  for (let one of await stored("readonly", (left) => left.getAll())) {
    try {
      while (!one.confirmed) {
        one = { ...one, ...(await step(one)) };
        await stored("readwrite", (left) => left.put(one));
      }
      await stored("readwrite", (left) => left.delete(one.key));
    } catch (error) {
      console.log(`${one.key}: ${error}`);
    }
  }
  if ((await left()) === 0) await chrome.alarms.clear(ALARM.name);
}

/** What the next step changed. */
async function step({ deck, key, envelope, video, id, url, uploaded }) {
  if (!id) {
    const created = read(await send(deck, envelope, key), 201);
    return { id: created.id, url: created.video_upload_url, uploaded: !created.video_upload_url };
  }
  if (!url && !uploaded) {
    return { url: read(await call(deck, `${RECORDINGS}/${id}/video-upload-url`, { method: "POST" }), 200).video_upload_url };
  }
  if (!uploaded) {
    const put = await fetch(url, { method: "PUT", body: video });
    if (put.status === 403) return { url: null }; // it has expired
    if (!put.ok) throw new Error(`PUT: ${put.status}`);
    return { uploaded: true };
  }
  const confirmed = await call(deck, `${RECORDINGS}/${id}/confirm-video`, { method: "POST" });
  if (JSON.parse(confirmed.text).code === "video_not_uploaded") return { uploaded: false, url: null };
  read(confirmed, 200);
  return { confirmed: true };
}

function read({ status, text }, expected) {
  if (status !== expected) throw new Error(`${status}: ${text}`);
  return JSON.parse(text);
}

async function stored(mode, ask) {
  const opening = indexedDB.open("outbox", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("recordings", { keyPath: "key" });
  const database = await done(opening);
  try {
    return await done(ask(database.transaction("recordings", mode).objectStore("recordings")));
  } finally {
    database.close();
  }
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
