// findings.js: what is wrong with the data, with what can be done about it.
import {make, named, section, percent, counted} from "./dom.js";
import {data, photoOf} from "./data.js";
import {card, gallery} from "./photos.js";
import {correctionControls, correct} from "./corrections.js";

const MEANINGS = {two_classes: "in two classes: a contradiction", train_and_test: "in training and test: the test is too good", one_class: "in one class: harmless, but it counts twice"};
const REASONS = {far: "unlike its class", dark: "very dark", bright: "very bright", blurred: "blurred", small: "very small", shape: "of extreme shape", one_colour: "of one colour"};
const SETS_AT_ONCE = 20;

export function suspectsSection() {
    const found = data.audit?.suspects;
    if (!found) return null;
    const known = found.filter(one => photoOf(one.path)), suggestion = new Map(known.map(one => [one.path, one]));
    const all = make("button", {type: "button", id: "take-all", onclick: () => {
        for (const one of known) correct(one.path, "move", one.suggestion);
    }}, known.length === 1 ? "take the suggestion" : `take all ${known.length} suggestions`);
    return section("suspects", `Labels that look wrong (${found.length})`,
        known.length ? [make("p", {}, "Each by a classifier that has not seen the photo, the most doubtful first."), make("p", {}, all),
            gallery(known.map(one => photoOf(one.path)), "fold", photo => {
                const one = suggestion.get(photo.path);
                return make("div", {}, make("div.hint", {}, "rather ", named(one.suggestion), ` (${percent(one.probability, 0)})`), correctionControls(photo, one.suggestion));
            })] : make("p", {}, "None."));
}

function copySet(one) {
    return make("li.set", {}, make("h3", {}, `${one.kind === "exact" ? "the same" : "nearly the same"}, ${MEANINGS[one.meaning]}`),
        make("ul.cards", {}, one.paths.map(path => photoOf(path)).filter(Boolean).map(photo => card(photo, null, correctionControls(photo)))));
}

export function duplicatesSection() {
    const found = data.audit?.duplicates;
    if (!found) return null;
    const list = make("ul.sets", {}), more = make("button.more", {type: "button", onclick: () => add()});
    let shown = 0;
    const add = () => {
        for (const one of found.slice(shown, shown + SETS_AT_ONCE)) list.append(copySet(one));
        shown = Math.min(shown + SETS_AT_ONCE, found.length);
        more.hidden = shown >= found.length;
        more.textContent = `show more (${found.length - shown})`;
    };
    add();
    return section("duplicates", `The same photo twice (${found.length})`, found.length ? [list, more] : make("p", {}, "None."));
}

export function oddSection() {
    const found = data.audit?.outliers;
    if (!found) return null;
    const reasons = new Map();
    for (const one of found) reasons.set(one.path, [...(reasons.get(one.path) || []), REASONS[one.reason] || one.reason]);
    const photos = [...reasons.keys()].map(photoOf).filter(Boolean);
    return section("odd", `Odd ones out (${photos.length})`,
        photos.length ? gallery(photos, null, photo => make("div", {}, make("div.hint", {}, reasons.get(photo.path).join(", ")), correctionControls(photo)))
                      : make("p", {}, "None."));
}

export function unreadableSection() {
    const found = data.report?.unreadable;
    if (!found || !found.length) return null;
    return section("unreadable", `Photos that could not be read (${counted(found.length, "photo")})`,
        make("ul", {}, found.slice(0, 200).map(one => make("li", {}, make("bdi", {}, one.path), ": ", one.reason))));
}
