// api.js: requests to the program, and its state as it changes.
import {words} from "./words.js";

export let state = null;
const listeners = new Set();

// f(state, before) now and whenever it changes; the function given back ends it.
export function watch(f) {
    listeners.add(f);
    if (state) f(state, null);
    return () => listeners.delete(f);
}

function take(fresh) {
    const before = state;
    state = fresh;
    for (const f of [...listeners]) f(state, before);
}

export class Refused extends Error {}

async function answer(reply) {
    if (reply.ok) return reply;
    let text = reply.statusText;
    try {
        text = (await reply.json()).error;
    } catch (error) {
        // an answer that is no JSON: its status says all
    }
    const refused = new Refused(text);
    refused.status = reply.status;
    throw refused;
}

export async function get(path) {
    return (await answer(await fetch(path))).json();
}

export async function post(path, body = {}) {
    return (await answer(await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)}))).json();
}

// Bytes as they are; the reply as it is.
export async function send(path, bytes, type = "application/octet-stream") {
    return answer(await fetch(path, {method: "POST", headers: {"Content-Type": type}, body: bytes}));
}

export function thumb(photo) {
    return `/api/thumb?path=${encodeURIComponent(photo.path)}&v=${photo.version}`;
}

export function whole(photo) {
    return `/api/photo?path=${encodeURIComponent(photo.path)}&v=${photo.version}`;
}

export function inWords(change) {
    const make = words.changes[change.kind];
    return make ? make(change.count, change.to, change.name) : "";
}

let lost = null; // told once until it is back

export function connect(onLost) {
    const events = new EventSource("/api/events");
    events.addEventListener("state", event => take(JSON.parse(event.data)));
    events.addEventListener("open", async () => {
        if (lost) lost = onLost(false);
        take(await get("/api/state")); // what was missed meanwhile
    });
    events.addEventListener("error", () => {
        if (!lost) lost = onLost(true);
    });
    addEventListener("focus", () => post("/api/look").catch(() => {}));
    addEventListener("pagehide", () => events.close());
}
