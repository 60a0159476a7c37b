// judged.js: the worst errors, the least sure, and the classes one by one.
import {make, fill, named, section, percent, counted} from "./dom.js";
import {data, judgement, className} from "./data.js";
import {gallery, heatSwitch} from "./photos.js";

function judgedBy(source) {
    return data.photos.filter(photo => photo.label >= 0 && judgement(photo, source.id));
}

export function worstErrors(source) {
    return judgedBy(source).filter(photo => !judgement(photo, source.id).right)
        .sort((a, b) => judgement(b, source.id).probability - judgement(b, source.id).own - judgement(a, source.id).probability + judgement(a, source.id).own);
}

export function leastSure(source) {
    return judgedBy(source).filter(photo => judgement(photo, source.id).right)
        .sort((a, b) => judgement(a, source.id).probability - judgement(b, source.id).probability).slice(0, 24);
}

export function errorsSection() {
    const source = data.sources[0];
    if (!source) return null;
    const errors = worstErrors(source), unsure = leastSure(source);
    const heated = [...errors, ...unsure].some(photo => photo.map);
    return section("errors", "The worst errors, and the least sure",
        heated ? make("p.hint", {}, heatSwitch(), " where a photo speaks for the answer (red) and against it (blue)") : null,
        errors.length ? [make("p", {}, `${counted(errors.length, "photo")} answered wrongly, the surest first. Some of them may be labelled wrongly.`), gallery(errors, source.id)]
                      : make("p", {}, "No photo was answered wrongly."),
        unsure.length ? [make("h3", {}, "right, but least sure"), gallery(unsure, source.id)] : null);
}

export function classesSection() {
    const source = data.sources[0];
    if (!source) return null;
    const audited = new Map((data.audit?.classes || []).map(one => [one.label, one]));
    const place = make("div", {"aria-live": "polite"});
    const open = name => {
        const photos = judgedBy(source).filter(photo => className(photo.label) === name)
            .sort((a, b) => judgement(a, source.id).own - judgement(b, source.id).own);
        fill(place, make("h3", {tabindex: -1}, named(name), ": from the least to the most like it"), gallery(photos, source.id));
        place.querySelector("h3").focus();
    };
    const rows = source.per_class.filter(one => one.support);
    return section("classes", "Class by class",
        make("div.scroll", {tabindex: 0, role: "region", "aria-label": "classes"}, make("table.numbers", {},
            make("thead", {}, make("tr", {}, ["class", "precision", "recall", "F1", "average precision", "judged", audited.size ? "photos in all" : null].map(head => head && make("th", {scope: "col"}, head)))),
            make("tbody", {}, rows.map(one => make("tr", {},
                make("th", {scope: "row"}, make("button.link", {type: "button", onclick: () => open(one.label)}, named(one.label))),
                [one.precision, one.recall, one.f1, one.average_precision].map(value => make("td", {}, value === null ? "–" : value.toFixed(3))),
                make("td", {}, String(one.support)), audited.size ? make("td", {}, String(audited.get(one.label)?.count ?? "–")) : null))))), place);
}

// The answer in one line.
export function answerWords() {
    const source = data.sources[0];
    if (!source) return null;
    const interval = source.accuracy_low === null ? "" : ` (95 %: ${percent(source.accuracy_low)} to ${percent(source.accuracy_high)})`;
    return `${percent(source.accuracy)} right${interval} on ${counted(source.count, "photo")} ${source.id === "test" ? "that it has not learned from" : "that the classifier judging had not seen"}`;
}

// What to do next, most useful first.
export function adviceWords() {
    const advice = [], audit = data.audit, source = data.sources[0];
    if (audit) {
        const twice = audit.duplicates.filter(one => one.meaning === "two_classes").length, leaks = audit.duplicates.filter(one => one.meaning === "train_and_test").length;
        if (audit.suspects.length) advice.push([`Look at ${counted(audit.suspects.length, "label")} that ${audit.suspects.length === 1 ? "looks" : "look"} wrong`, "#suspects"]);
        if (twice) advice.push([`${counted(twice, "photo")} ${twice === 1 ? "is" : "are"} in two classes`, "#duplicates"]);
        if (leaks) advice.push([`${counted(leaks, "photo")} ${leaks === 1 ? "has a copy" : "have copies"} among the training and the test photos: the test is too good`, "#duplicates"]);
        const curve = audit.learning_curve, few = audit.classes.filter(one => one.count < 20).map(one => one.label);
        if (curve.length > 1 && curve.at(-1).accuracy - curve.at(-2).accuracy > 0.01)
            advice.push([`More photos help: the last doubling gave ${percent(curve.at(-1).accuracy - curve.at(-2).accuracy)} more`, "#pictures"]);
        if (few.length) advice.push([`${few.length === 1 ? "One class has" : `${few.length} classes have`} fewer than 20 photos: ${few.slice(0, 5).join(", ")}${few.length > 5 ? ", ..." : ""}`, "#classes"]);
    }
    if (source && source.calibration_error > 0.1) advice.push(["Its probabilities are not to be believed as they are", "#pictures"]);
    if (source && source.accuracy_high !== null && source.accuracy_high - source.accuracy_low > 0.1) advice.push(["The interval is wide: judge it on more photos", "#classes"]);
    if (data.how.model) advice.push([`Use it: engraft predict ${data.how.model} PHOTO.jpg`, "#how"]);
    return advice;
}
