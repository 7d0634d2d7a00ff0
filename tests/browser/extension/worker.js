// A service worker has no window, and is where an extension sends from.
import * as client from "./client.js";

globalThis.client = client;
