// corrections.js: what a person says is wrong, collected into the CSV that `engraft audit --apply` takes.
import {make, counted, saveText} from "./dom.js";
import {data} from "./data.js";

const corrections = new Map(); // path: {action, label}
let listeners = [], doAtOnce = null;

function storageKey() {
    return `engraft corrections ${location.pathname} ${data.made}`;
}

// In a page that is served f(path, action, label) does at once what is said; nothing is collected.
export function carryOut(f) {
    doAtOnce = f;
}

export function forgetCorrections() {
    corrections.clear();
    listeners = [];
}

function keep() {
    if (doAtOnce) {
        for (const listener of listeners) listener();
        return;
    }
    try {
        localStorage.setItem(storageKey(), JSON.stringify([...corrections]));
    } catch (error) {
        // a browser without storage for files: they live as long as the page does
    }
    for (const listener of listeners) listener();
}

export function restoreCorrections() {
    try {
        for (const [path, one] of JSON.parse(localStorage.getItem(storageKey()) || "[]")) corrections.set(path, one);
    } catch (error) {
        corrections.clear();
    }
}

export function onCorrections(listener) {
    listeners.push(listener);
}

export function correctionOf(path) {
    return corrections.get(path) || null;
}

// action: "move" (to label), "delete", "ok"; null takes it back.
export function correct(path, action, label = "") {
    if (action) corrections.set(path, {action, label});
    else corrections.delete(path);
    if (doAtOnce) doAtOnce(path, action, label);
    keep();
}

function field(text) {
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function correctionsCsv() {
    const rows = [...corrections].map(([path, one]) => [path, one.action, one.action === "move" ? one.label : ""]);
    return [["path", "action", "label"], ...rows].map(row => row.map(field).join(",")).join("\n") + "\n";
}

// The controls of one photo: where it belongs, or that it goes, or that it is right.
export function correctionControls(photo, suggestion) {
    const path = photo.path, own = photo.label >= 0 ? data.classes[photo.label] : "";
    const select = make("select", {"aria-label": `class of ${path}`, onchange: () => correct(path, select.value ? "move" : null, select.value)},
                        make("option", {value: ""}, own ? `is ${own}` : "no class"),
                        data.classes.filter(name => name !== own).map(name => make("option", {value: name}, `move to ${name}`)));
    const button = (action, words) => make("button", {type: "button", "data-action": action,
        onclick: () => correct(path, correctionOf(path)?.action === action ? null : action)}, words);
    const ok = button("ok", "label is right"), remove = button("delete", "delete");
    const take = suggestion ? make("button.take", {type: "button", "data-action": "move",
        onclick: () => correct(path, correctionOf(path)?.label === suggestion ? null : "move", suggestion)}, "move to ", make("bdi", {}, suggestion)) : null;
    const show = () => {
        const now = correctionOf(path);
        select.value = now?.action === "move" ? now.label : "";
        ok.setAttribute("aria-pressed", String(now?.action === "ok"));
        remove.setAttribute("aria-pressed", String(now?.action === "delete"));
        if (take) take.setAttribute("aria-pressed", String(now?.action === "move" && now.label === suggestion));
    };
    onCorrections(show);
    show();
    return make("div.controls", {}, take, own ? ok : null, remove, select);
}

// A bar at the bottom, there once anything is collected.
export function correctionBar() {
    const text = make("span", {role: "status"});
    const command = `engraft audit ${data.how.features || "IMAGES"} --apply corrections.csv`;
    const bar = make("div.bar", {hidden: true, role: "region", "aria-label": "corrections"}, text,
        make("button.main", {type: "button", id: "save-corrections", onclick: () => saveText("corrections.csv", correctionsCsv(), "text/csv")}, "Save corrections.csv"),
        make("button", {type: "button", onclick: () => { corrections.clear(); keep(); }}, "Forget them"),
        make("code", {}, command));
    const show = () => {
        bar.hidden = corrections.size === 0;
        text.textContent = counted(corrections.size, "correction");
        document.body.classList.toggle("with-bar", !bar.hidden);
    };
    onCorrections(show);
    show();
    return bar;
}
