// A service worker has no window, and is where an extension sends from.
import * as client from "./client.js";
import * as outbox from "./outbox.js";

Object.assign(globalThis, { client, outbox });
chrome.runtime.onMessage.addListener((message, _sender, answer) => {
  outbox.record(...message).then(answer);
  return true; // the answer comes later
});
chrome.alarms.onAlarm.addListener(() => outbox.resume());
