// main.js: the page, from its data.
import {make, fill, named, counted, section} from "./dom.js";
import {data, useData} from "./data.js";
import {restoreCorrections, correctionBar} from "./corrections.js";
import {confusionSection} from "./confusion.js";
import {errorsSection, classesSection, answerWords, adviceWords} from "./judged.js";
import {suspectsSection, duplicatesSection, oddSection, unreadableSection} from "./findings.js";
import {mapSection} from "./map.js";
import {picturesSection} from "./pictures.js";
import {howSection} from "./how.js";

function madeOf() {
    const report = data.report || {}, words = [];
    if (report.classifier) words.push(report.classifier);
    if (report.train_count) words.push(`learned from ${counted(report.train_count, "photo")}`);
    if (data.classes.length) words.push(counted(data.classes.length, "class", "classes"));
    if (report.network) words.push(report.network);
    return words.join(", ");
}

function cutsAnswer() {
    const best = data.report?.cuts?.[0];
    return best ? `${best.cut} is best: ${(100 * best.cv_accuracy).toFixed(1)} % right by cross-validation (95 %: ${(100 * best.accuracy_low).toFixed(1)} to ${(100 * best.accuracy_high).toFixed(1)})` : null;
}

function cutsSection() {
    const cuts = data.report?.cuts;
    if (!cuts) return null;
    return section("cuts", "Cut by cut", make("div.scroll", {tabindex: 0, role: "region", "aria-label": "cuts"}, make("table.numbers", {},
        make("thead", {}, make("tr", {}, ["cut", "accuracy", "95 %", "length", "classifier", "scale", "C", "seconds"].map(head => make("th", {scope: "col"}, head)))),
        make("tbody", {}, cuts.map(one => make("tr", {}, make("th", {scope: "row"}, named(one.cut)),
            [one.cv_accuracy.toFixed(4), `${one.accuracy_low.toFixed(3)}–${one.accuracy_high.toFixed(3)}`, one.length, one.classifier, one.scale,
             one.C === null ? "–" : one.C, one.seconds.toFixed(1)].map(value => make("td", {}, String(value)))))))));
}

function omittedWords() {
    const {photos, pictures} = data.omitted, words = [];
    if (photos) words.push(`${counted(photos, "photo")} ${photos === 1 ? "is" : "are"} left out of this page`);
    if (pictures) words.push(`${counted(pictures, "photo")} ${pictures === 1 ? "is" : "are"} here without a picture`);
    return words.length ? `To stay small: ${words.join("; ")}. Errors and doubtful photos come first.` : null;
}

export function showPage(place) {
    restoreCorrections();
    const sections = [confusionSection(), errorsSection(), suspectsSection(), duplicatesSection(), oddSection(), mapSection(),
                      cutsSection(), picturesSection(), classesSection(), unreadableSection(), howSection()].filter(Boolean);
    const advice = adviceWords(), answer = cutsAnswer() || answerWords(), omitted = omittedWords();
    fill(place,
        make("header", {}, make("p.kind", {}, data.title ? [make("bdi", {}, data.title), " · "] : null, `engraft ${data.kind}`),
             make("h1", {}, answer || `engraft ${data.kind}`), make("p.made", {}, madeOf()),
             advice.length ? make("ul.advice", {}, advice.map(([words, link]) => make("li", {}, make("a", {href: link}, words)))) : null,
             omitted ? make("p.note", {id: "omitted"}, omitted) : null),
        make("nav", {"aria-label": "sections"}, make("ul", {}, sections.map(one => make("li", {}, make("a", {href: `#${one.id}`}, one.querySelector("h2").textContent))))),
        ...sections, correctionBar(), make("footer", {}, `engraft ${data.version}, ${data.made}`));
}

useData(JSON.parse(document.getElementById("data").textContent), JSON.parse(document.getElementById("thumbs").textContent));
showPage(document.getElementById("report"));
