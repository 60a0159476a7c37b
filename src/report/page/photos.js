// photos.js: photos as cards, and one of them large with all that is known of it.
import {make, fill, named, percent, counted} from "./dom.js";
import {data, thumbOf, className, judgement, anyJudgement, photoOf} from "./data.js";
import {correctionControls, correctionOf, onCorrections} from "./corrections.js";

const AT_ONCE = 24;

function shortPath(path) {
    return path.split("/").slice(-2).join("/");
}

// A small picture, or its name where the page has none.
export function picture(photo, words) {
    const source = thumbOf(photo);
    return source ? make("img", {src: source, alt: words, loading: "lazy"}) : make("span.no-picture", {}, words || "no picture here");
}

// What spoke for an answer, over what the network saw of the photo: red for it, blue against it.
function heat(photo) {
    const map = photo.map, [x, y, width, height] = photo.seen || [0, 0, 1, 1];
    const canvas = make("canvas.heat", {width: map[0].length, height: map.length, role: "img",
        "aria-label": `where the photo speaks for ${className(photo.map_of)}`});
    canvas.style.cssText = `left:${100 * x}%;top:${100 * y}%;width:${100 * width}%;height:${100 * height}%`;
    const context = canvas.getContext("2d"), pixels = context.createImageData(canvas.width, canvas.height);
    map.flat().forEach((value, i) => pixels.data.set([...(value >= 0 ? [230, 0, 70] : [40, 110, 255]), Math.round(1.9 * Math.abs(value))], 4 * i));
    context.putImageData(pixels, 0, 0);
    return canvas;
}

// One switch for all heat-maps of the page.
const HEAT_OFF = "without-heat";

export function heatSwitch() {
    const button = make("button.heat-switch", {type: "button", "aria-pressed": String(!document.body.classList.contains(HEAT_OFF)), onclick: () => {
        const off = document.body.classList.toggle(HEAT_OFF);
        for (const other of document.querySelectorAll(".heat-switch")) other.setAttribute("aria-pressed", String(!off));
    }}, "heat-maps");
    return button;
}

// A photo with its heat-map, where it has one.
function picturedWithHeat(photo, words) {
    const shown = picture(photo, words);
    return photo.map && thumbOf(photo) ? make("span.heated", {}, shown, heat(photo)) : shown;
}

function verdictWords(photo, source) {
    const said = source ? judgement(photo, source) : anyJudgement(photo);
    if (!said) return [named(photo.label >= 0 ? className(photo.label) : "no label")];
    if (said.right) return [named(className(photo.label)), ` ${percent(said.probability, 0)}`];
    return [make("span.truth", {}, named(photo.label >= 0 ? className(photo.label) : "no label")), " → ",
            make("strong", {}, named(className(said.answer))), ` ${percent(said.probability, 0)}`];
}

// A card that opens the photo. more: what stands below it.
export function card(photo, source, ...more) {
    const corrected = make("span.corrected", {});
    const show = () => {
        const now = correctionOf(photo.path);
        corrected.textContent = !now ? "" : now.action === "move" ? `→ ${now.label}` : now.action === "ok" ? "right" : "delete";
    };
    onCorrections(show);
    show();
    return make("li.card", {"data-path": photo.path},
        make("button.open", {type: "button", "aria-label": `open ${photo.path}`, onclick: () => openPhoto(photo)},
             picturedWithHeat(photo, shortPath(photo.path))),
        make("div.said", {}, ...verdictWords(photo, source)), make("div.path", {title: photo.path}, make("bdi", {}, shortPath(photo.path))),
        corrected, ...more);
}

// Cards, some at a time. below(photo): what stands below a card.
export function gallery(photos, source, below) {
    const list = make("ul.cards", {});
    let shown = 0;
    const more = make("button.more", {type: "button", onclick: () => add()});
    const add = () => {
        const first = list.children.length;
        for (const photo of photos.slice(shown, shown + AT_ONCE)) list.append(card(photo, source, below ? below(photo) : null));
        shown = Math.min(shown + AT_ONCE, photos.length);
        more.hidden = shown >= photos.length;
        more.textContent = `show more (${(photos.length - shown).toLocaleString("en")})`;
        if (first && list.children[first]) list.children[first].querySelector("button").focus();
    };
    add();
    return make("div.gallery", {}, list, more);
}

function answersList(photo, source, title) {
    const said = judgement(photo, source);
    if (!said) return null;
    return make("div", {}, make("h3", {}, title), make("ol.answers", {}, said.top.map(([index, probability]) =>
        make("li", {class: index === photo.label ? "own" : null},
             make("meter", {min: 0, max: 1, value: probability === null ? 0 : probability, "aria-label": className(index)}),
             make("span", {}, named(className(index)), ` ${percent(probability)}`, index === photo.label ? " (its label)" : "")))));
}

let dialog = null;
let opener = null;

export function openPhoto(photo) {
    if (!dialog) {
        dialog = make("dialog", {"aria-label": "a photo", onclose: () => { if (opener && opener.isConnected) opener.focus(); }});
        dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
        document.body.append(dialog);
    }
    if (!dialog.open) opener = document.activeElement;
    const near = (photo.near || []).map(number => data.photos[number]).filter(Boolean);
    fill(dialog,
        make("div.head", {}, make("h2.path", {}, make("bdi", {}, photo.path)), make("button", {type: "button", autofocus: true, onclick: () => dialog.close()}, "Close")),
        make("div.large", {}, picturedWithHeat(photo, photo.path)),
        photo.map && thumbOf(photo) ? make("p.hint", {}, heatSwitch(), " where the photo speaks for ", named(className(photo.map_of)), " (red) and against it (blue)") : null,
        make("p", {}, "label: ", named(photo.label >= 0 ? className(photo.label) : "none"),
             photo.part ? (photo.part === "test" ? "; kept for the test" : "; learned from") : ""),
        correctionControls(photo),
        answersList(photo, "test", "the model says"),
        answersList(photo, "fold", "a classifier that has not seen it says"),
        near.length ? make("div", {}, make("h3", {}, data.sources.some(source => source.id === "test") ? "nearest training photos" : "nearest photos"),
                           make("ul.cards", {}, near.map(other => card(other)))) : null);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
}

export function photosOf(paths) {
    return paths.map(photoOf).filter(Boolean);
}

export function countedPhotos(n) {
    return counted(n, "photo");
}
