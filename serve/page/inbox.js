// inbox.js: photos without a class, the most instructive first.
import {make, fill, button, icon, move, remove, attempt} from "./parts.js";
import {named} from "./report/dom.js";
import {words} from "./words.js";
import {state, watch, get, post, thumb, whole} from "./api.js";
import {openPhoto} from "./photo.js";

const AHEAD = 40;

export function showInbox(place) {
    let queue = [], skipped = new Set(), current = null, asked = 0;
    const left = make("span.note", {}), work = make("div.inbox", {});
    fill(place, make("div.view-head", {}, make("h1", {}, words.views.inbox), left), work);

    async function label(name) {
        const photo = current;
        if (!photo) return;
        current = null;
        skipped.add(photo.path); // gone from here, whatever the list still says
        show();
        await move([photo.path], name);
    }

    async function drop() {
        const photo = current;
        if (!photo) return;
        skipped.add(photo.path);
        current = null;
        show();
        await remove([photo.path]);
    }

    function later() {
        if (!current) return;
        skipped.add(current.path);
        current = null;
        show();
    }

    function show() {
        const next = queue.filter(photo => !skipped.has(photo.path));
        if (!next.length && skipped.size && queue.length) return; // until the list is asked for again
        const kept = current && next.find(one => one.path === current.path); // what is looked at stays until it is answered
        const photo = kept || next[0] || null;
        if (!photo) {
            fill(work, make("section.empty", {}, make("h2", {}, words.inboxEmptyTitle), make("p", {}, words.inboxEmpty)));
            current = null;
            return;
        }
        if (kept && (current.guess || !kept.guess)) return;
        current = photo;
        const image = make("img", {src: whole(photo), alt: photo.path});
        image.addEventListener("error", () => { if (!image.src.includes("/api/thumb")) image.src = thumb(photo); });
        const field = make("input", {type: "text", list: "class-names", "aria-label": words.newClassLabel, placeholder: words.newClass, autocomplete: "off"});
        fill(work,
            make("div.inbox-one", {}, make("div.photo-large", {}, image),
                make("div.inbox-side", {},
                    make("p.path", {}, make("bdi", {}, photo.path)),
                    make("p.guess", {"aria-live": "polite"}, photo.guess ? [named(photo.guess), make("span.note", {}, words.percent(photo.probability, 0))] : words.noGuess),
                    photo.guess ? make("button.main.accept", {type: "button", onclick: () => label(photo.guess)}, icon("check"), words.accept(photo.guess)) : null,
                    make("div.choices", {role: "group", "aria-label": words.isWhat}, state.classes.map((one, i) => make("button", {type: "button", "data-choice": one.name, onclick: () => label(one.name)},
                        i < 9 ? make("kbd", {"aria-hidden": "true"}, String(i + 1)) : null, make("bdi", {}, one.name)))),
                    make("form.row", {onsubmit: event => { event.preventDefault(); if (field.value.trim()) label(field.value.trim()); }}, field, make("button", {type: "submit"}, words.addClass)),
                    make("div.row", {}, button("button.quiet", words.skip, later), button("button.quiet", words.delete, drop)),
                    make("p.note", {}, words.inboxKeys))),
            make("p.note", {}, words.inboxOrder),
            make("h2", {}, words.next), make("div.strip.long", {}, next.filter(one => one !== photo).slice(0, 24).map(one => make("button.tile", {type: "button", "aria-label": one.path, onclick: () => openPhoto(one, "")}, make("img", {src: thumb(one), alt: "", loading: "lazy"})))));
    }

    async function refresh() {
        const mine = ++asked, reply = await get(`/api/inbox?limit=${AHEAD}`).catch(() => null);
        if (!reply || mine !== asked) return;
        queue = reply.photos;
        if (queue.length && queue.every(photo => skipped.has(photo.path))) skipped = new Set(); // those put off come again
        show();
    }

    const keys = event => {
        if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || document.querySelector("dialog[open]")) return;
        const number = Number(event.key);
        if (event.key === "Enter" && current && current.guess && event.target.tagName !== "BUTTON" && event.target.tagName !== "A") label(current.guess);
        else if (number >= 1 && number <= state.classes.length) label(state.classes[number - 1].name);
        else if (event.key === "Delete") drop();
        else if (event.key === " " && event.target.tagName !== "BUTTON") later();
        else return;
        event.preventDefault();
    };
    addEventListener("keydown", keys);
    const end = watch((now, before) => {
        left.textContent = words.inboxLeft(now.inbox);
        const changed = !before || before.listing_revision !== now.listing_revision || (before.model && before.model.revision) !== (now.model && now.model.revision) || (before.phase !== now.phase && now.phase === "ready");
        if (changed) refresh();
    });
    return () => { end(); removeEventListener("keydown", keys); };
}
