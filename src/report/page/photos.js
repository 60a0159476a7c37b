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
             picture(photo, shortPath(photo.path))),
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

// What spoke for the answer: a grid over the photo, strong where it speaks for it.
function heat(map) {
    const most = Math.max(...map.flat().map(Math.abs), 1e-9);
    const cells = map.flatMap((row, y) => row.map((value, x) => {
        const cell = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [name, number] of Object.entries({x, y, width: 1, height: 1})) cell.setAttribute(name, number);
        cell.setAttribute("class", value >= 0 ? "for" : "against");
        cell.setAttribute("fill-opacity", (0.75 * Math.abs(value) / most).toFixed(3));
        return cell;
    }));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${map[0].length} ${map.length}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("class", "heat");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "heat-map of what spoke for the answer");
    svg.append(...cells);
    return svg;
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
        make("div.large", {}, picture(photo, photo.path), photo.map ? heat(photo.map) : null),
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
