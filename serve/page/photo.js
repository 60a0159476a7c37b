// photo.js: one photo large, with what is known of it and what can be done.
import {make, fill, icon, button, classSelect, move, remove, attempt} from "./parts.js";
import {named} from "./report/dom.js";
import {words} from "./words.js";
import {state, whole, thumb, send, post} from "./api.js";

let dialog = null;

// What spoke for the answer, in place of the photo.
export async function explainInto(place, blob, className = "") {
    const reply = await attempt(() => send(`/api/explain?class=${encodeURIComponent(className)}`, blob, "image/jpeg"));
    if (!reply) return;
    const url = URL.createObjectURL(await reply.blob()), image = make("img", {src: url, alt: words.whyText});
    image.addEventListener("load", () => URL.revokeObjectURL(url));
    fill(place, image);
}

// photo: {path, version, answer, probability, right}; className "" : none. step(by): another photo, or null
export function openPhoto(photo, className, step = null) {
    if (!dialog) {
        dialog = make("dialog.photo", {});
        dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
        document.body.append(dialog);
    }
    const go = by => { const next = step && step(by); if (next) openPhoto(next, className, step); };
    const image = make("img", {src: whole(photo), alt: photo.path});
    image.addEventListener("error", () => { if (!image.src.includes("/api/thumb")) image.src = thumb(photo); });
    const screen = make("div.photo-large", {}, image), note = make("p.note", {});
    const why = state.model ? button("button", words.why, async () => {
        await explainInto(screen, await (await fetch(whole(photo))).blob());
        note.textContent = words.whyText;
    }) : null;
    dialog.onkeydown = event => {
        if (event.target.tagName === "SELECT") return;
        if (event.key === "ArrowLeft") go(-1);
        if (event.key === "ArrowRight") go(1);
        if (event.key === "Delete") remove([photo.path]).then(() => dialog.close());
    };
    dialog.setAttribute("aria-label", photo.path);
    fill(dialog,
        make("div.head", {}, make("h2.path", {}, make("bdi", {}, photo.path)),
            make("button.icon-only", {type: "button", autofocus: true, "aria-label": words.close, onclick: () => dialog.close()}, icon("close"))),
        screen, note,
        photo.answer === undefined ? null : make("p", {class: photo.right ? null : "warning"}, photo.right ? words.judgedRight(photo.answer, photo.probability) : words.judgedWrong(photo.answer, photo.probability)),
        make("div.row", {},
            make("label.field", {}, make("span", {}, words.moveTo), classSelect(className, async to => { await move([photo.path], to); dialog.close(); }, {inbox: true, label: words.moveTo})),
            className && photo.answer !== undefined && !photo.right ? button("button", words.itIsRight, async () => { await attempt(() => post("/api/confirm", {paths: [photo.path]})); dialog.close(); }) : null,
            why, button("button.quiet", words.delete, async () => { await remove([photo.path]); dialog.close(); }),
            step ? make("span.pager", {}, make("button.icon-only", {type: "button", "aria-label": words.previous, onclick: () => go(-1)}, icon("left")),
                make("button.icon-only", {type: "button", "aria-label": words.nextPhoto, onclick: () => go(1)}, icon("right"))) : null));
    if (!dialog.open) dialog.showModal();
}
