// parts.js: what several views are made of.
import {make, fill} from "./report/dom.js";
import {words} from "./words.js";
import {post, state, inWords} from "./api.js";

const SHAPES = {
    photos: "M4 5h16v14H4zM4 15l4.5-4.5 4 4L15 12l5 5M15.5 8.5h.01",
    inbox: "M4 13l3-8h10l3 8v6H4zM4 13h5l1 2.5h4l1-2.5h5",
    quality: "M5 19V11M12 19V5M19 19v-6",
    try: "M3 8h3l2-3h8l2 3h3v11H3zM12 9.5a3.5 3.5 0 100 7 3.5 3.5 0 000-7z",
    take: "M12 4v11M7.5 10.5L12 15l4.5-4.5M4 19h16",
    undo: "M8 5L4 9l4 4M4 9h10a6 6 0 010 12h-3",
    camera: "M3 8h3l2-3h8l2 3h3v11H3zM12 9.5a3.5 3.5 0 100 7 3.5 3.5 0 000-7z",
    add: "M12 5v14M5 12h14",
    more: "M5 12h.01M12 12h.01M19 12h.01",
    back: "M14 6l-6 6 6 6",
    check: "M5 12.5l4.5 4.5L19 7.5",
    close: "M6 6l12 12M18 6L6 18",
    left: "M14 6l-6 6 6 6", right: "M10 6l6 6-6 6",
};

export function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("class", "icon");
    path.setAttribute("d", SHAPES[name]);
    svg.append(path);
    return svg;
}

export function button(kind, text, onclick, more = {}) {
    return make(kind, {type: "button", onclick, ...more}, text);
}

let toasts = null;

// A word at the bottom; with undo where it was a change.
export function toast(text, undoable = false) {
    if (!toasts) {
        toasts = make("div.toasts", {role: "status", "aria-live": "polite"});
        document.body.append(toasts);
    }
    const one = make("div.toast", {}, make("span", {}, text), undoable ? button("button.link", words.undo, () => { one.remove(); undo(); }) : null,
        make("button.icon-only", {type: "button", "aria-label": words.close, onclick: () => one.remove()}, icon("close")));
    while (toasts.children.length > 2) toasts.firstChild.remove();
    toasts.append(one);
    setTimeout(() => one.remove(), 6000);
    return one;
}

// Runs a request; what fails is said.
export async function attempt(work) {
    try {
        return await work();
    } catch (error) {
        toast(words.failed(error.message));
        return null;
    }
}

export async function undo() {
    if (!state.undo) {
        toast(words.nothingToUndo);
        return;
    }
    const done = await attempt(() => post("/api/undo"));
    if (done) toast(`${words.undone}: ${inWords(done)}`);
}

export async function move(paths, to) {
    const done = await attempt(() => post("/api/move", {paths, to}));
    if (done && done.done) toast(words.changes.move(done.done, to), true);
    return done;
}

export async function remove(paths) {
    const done = await attempt(() => post("/api/delete", {paths}));
    if (done && done.done) toast(words.changes.delete(done.done), true);
    return done;
}

// A question with two answers, or one for a text: resolves to null or what was said.
export function ask(question, {text = null, yes, danger = false}) {
    return new Promise(resolve => {
        const field = text === null ? null : make("input", {type: "text", value: text, "aria-label": question, maxlength: 200, autofocus: true});
        const dialog = make("dialog.ask", {"aria-label": question, onclose: () => { dialog.remove(); resolve(dialog.returnValue === "yes" ? (field ? field.value.trim() : true) : null); }},
            make("form", {method: "dialog", onsubmit: event => { event.preventDefault(); dialog.close("yes"); }}, make("p", {}, question), field,
                make("div.row", {}, button("button", words.close, () => dialog.close("")), make(danger ? "button.main.danger" : "button.main", {type: "submit"}, yes))));
        document.body.append(dialog);
        dialog.showModal();
        if (field) field.select();
    });
}

export function classSelect(chosen, onchange, {inbox = false, label, placeholder = null}) {
    return make("select", {"aria-label": label, onchange: event => onchange(event.target.value)},
        placeholder ? make("option", {value: "\u0000", selected: true, disabled: true}, placeholder) : null,
        state.classes.map(one => make("option", {value: one.name, selected: one.name === chosen}, one.name)),
        inbox ? make("option", {value: "", selected: chosen === ""}, words.inboxName) : null);
}

// Bars of the likeliest classes, filled again and again without being made anew.
export class Bars {
    constructor() {
        this.place = make("ol.bars", {"aria-label": words.answers});
    }

    show(top) {
        while (this.place.children.length > top.length) this.place.lastChild.remove();
        while (this.place.children.length < top.length)
            this.place.append(make("li", {}, make("span.bar-name", {}, make("bdi", {})), make("span.bar-track", {}, make("span.bar-fill", {})), make("span.bar-value", {})));
        top.forEach((one, i) => {
            const [name, track, value] = this.place.children[i].children;
            name.firstChild.textContent = one.label;
            name.title = one.label;
            track.firstChild.style.width = `${(100 * one.probability).toFixed(1)}%`;
            value.textContent = words.percent(one.probability, 0);
        });
    }
}

export function working(flag, ...children) {
    return make("span.working", {"data-working": flag}, ...children);
}

export {make, fill};
