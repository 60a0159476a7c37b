// confusion.js: truth against answer; a cell opens the photos in it.
import {make, fill, named, section, counted} from "./dom.js";
import {data, judgement, className, sourceTitle} from "./data.js";
import {gallery, countedPhotos} from "./photos.js";

const MOST_NUMBERS = 40, LISTED = 10;

// The photos of one cell that the page has.
export function photosInCell(source, truth, answer) {
    return data.photos.filter(photo => {
        const said = judgement(photo, source.id);
        return said && className(photo.label) === truth && className(said.answer) === answer;
    }).sort((a, b) => judgement(b, source.id).probability - judgement(a, source.id).probability);
}

function largest(source) {
    const list = [];
    source.confusion.forEach((row, t) => row.forEach((count, p) => { if (t !== p && count) list.push({t, p, count}); }));
    return list.sort((a, b) => b.count - a.count).slice(0, LISTED);
}

function cellButton(source, t, p, open, words) {
    const count = source.confusion[t][p];
    const total = source.confusion[t].reduce((sum, one) => sum + one, 0);
    const share = total ? count / total : 0;
    return make("button.cell", {type: "button", "data-truth": source.classes[t], "data-answer": source.classes[p],
        class: `cell ${t === p ? "right" : "wrong"}${share > 0.55 ? " strong" : ""}`,
        style: `--share:${(0.12 + 0.88 * share).toFixed(3)}`,
        title: `${source.classes[t]} → ${source.classes[p]}: ${count}`,
        "aria-label": `${count} of ${source.classes[t]} answered ${source.classes[p]}`,
        onclick: () => open(t, p)}, words ? String(count) : "");
}

function matrix(source, open) {
    const names = source.classes, numbers = names.length <= MOST_NUMBERS;
    return make("div.scroll", {tabindex: 0, role: "region", "aria-label": "confusion matrix"},
        make(numbers ? "table.matrix" : "table.matrix.dense", {},
            make("caption", {}, "rows: what a photo is; columns: what was answered"),
            make("thead", {}, make("tr", {}, make("td"), names.map(name => make("th", {scope: "col"}, make("span", {}, named(name)))))),
            make("tbody", {}, names.map((name, t) => make("tr", {}, make("th", {scope: "row"}, named(name)),
                source.confusion[t].map((count, p) => make("td", {}, count ? cellButton(source, t, p, open, numbers) : null)))))));
}

function view(source) {
    const opened = make("div.opened", {"aria-live": "polite"});
    const open = (t, p) => {
        const truth = source.classes[t], answer = source.classes[p], photos = photosInCell(source, truth, answer), count = source.confusion[t][p];
        fill(opened, make("h3", {tabindex: -1}, named(truth), " → ", named(answer), `: ${countedPhotos(count)}`),
            photos.length < count ? make("p.note", {}, `${counted(count - photos.length, "photo")} of them ${count - photos.length === 1 ? "is" : "are"} not in this page`) : null,
            gallery(photos, source.id));
        opened.querySelector("h3").focus();
        opened.scrollIntoView({block: "nearest"});
    };
    const confused = largest(source);
    return make("div", {}, matrix(source, open),
        confused.length ? make("div", {}, make("h3", {}, "most often confused"), make("ol.confusions", {}, confused.map(({t, p, count}) =>
            make("li", {}, make("button.link", {type: "button", onclick: () => open(t, p)}, named(source.classes[t]), " → ", named(source.classes[p]), `: ${count}`)))))
                        : make("p", {}, "Nothing was confused."), opened);
}

export function confusionSection() {
    if (!data.sources.length) return null;
    const place = make("div", {}, view(data.sources[0]));
    const choice = data.sources.length > 1 ? make("label.choice", {}, "judged: ", make("select", {id: "confusion-source",
        onchange: event => fill(place, view(data.sources[event.target.selectedIndex]))},
        data.sources.map(source => make("option", {}, sourceTitle(source))))) : make("p.note", {}, sourceTitle(data.sources[0]));
    return section("confusion", "What is taken for what", make("p", {}, "A cell opens the photos in it."), choice, place);
}
