// quality.js: how good it is, what is wrong with the data, and whether another network does better. The
// report's own views, with what is corrected in them done at once.
import {make, fill, button, toast, move, remove, attempt} from "./parts.js";
import {named} from "./report/dom.js";
import {useData} from "./report/data.js";
import {carryOut, forgetCorrections} from "./report/corrections.js";
import {confusionSection} from "./report/confusion.js";
import {errorsSection, classesSection, adviceWords} from "./report/judged.js";
import {suspectsSection, duplicatesSection, oddSection, unreadableSection} from "./report/findings.js";
import {words} from "./words.js";
import {state, watch, get, post, thumb} from "./api.js";

// What is asked for at one time (all suggestions at once) is one change.
let asked = [];
carryOut((path, action, label) => {
    if (!action) return;
    if (!asked.length) setTimeout(carryOutAsked, 0);
    asked.push({path, action, label});
});

async function carryOutAsked() {
    const some = asked;
    asked = [];
    const groups = new Map();
    for (const one of some) {
        const key = `${one.action}\n${one.label}`;
        if (!groups.has(key)) groups.set(key, []);
        groups.get(key).push(one);
    }
    for (const group of groups.values()) {
        const paths = group.map(one => one.path), {action, label} = group[0];
        if (action === "move") await move(paths, label);
        else if (action === "delete") await remove(paths);
        else if (await attempt(() => post("/api/confirm", {paths}))) toast(words.changes.confirm(paths.length), true);
    }
}

function networkSection() {
    const place = make("div", {}), end = watch((now, before) => {
        if (before && before.comparison === now.comparison && before.phase === now.phase && before.cut === now.cut && before.network === now.network && JSON.stringify(before.comparison) === JSON.stringify(now.comparison)) return;
        const busy = now.phase === "comparing", rows = now.comparison || [];
        const mine = row => row.network === now.network && (row.cut === now.cut || (!now.cut && now.model && row.cut.startsWith(now.model.cut)));
        fill(place, make("p", {}, words.network, " ", named(now.network), now.cut ? [", ", named(now.cut)] : null, "."), make("p", {}, words.networkText),
            make("p", {}, make("button", {type: "button", id: "compare", disabled: busy || !now.model, onclick: () => attempt(() => post("/api/compare"))}, busy ? words.comparing : words.compare)),
            rows.length ? make("div.scroll", {tabindex: 0, role: "region", "aria-label": words.networkTitle}, make("table.numbers", {},
                make("thead", {}, make("tr", {}, words.networkHeads.map(head => make("th", {scope: "col"}, head)))),
                make("tbody", {}, rows.map(row => make("tr", {class: mine(row) ? "mine" : null}, make("th", {scope: "row"}, named(row.network)), make("td", {}, named(row.cut)),
                    make("td", {}, words.percent(row.accuracy)), make("td", {}, `${words.percent(row.low, 0)}–${words.percent(row.high, 0)}`), make("td", {}, row.ms === null ? "–" : row.ms.toFixed(1)),
                    make("td", {}, mine(row) ? words.inUse : button("button", words.use, () => attempt(() => post("/api/network", {network: row.network, cut: row.cut}))))))))) : null);
    });
    return {section: make("section", {id: "network", "aria-labelledby": "network-title"}, make("h2", {id: "network-title"}, words.networkTitle), place), end};
}

export function showQuality(place) {
    const head = make("div.quality-head", {}), stale = make("div.stale", {hidden: true, role: "status"}, make("span", {}, words.qualityStale), button("button.main", words.qualityShow, () => refresh()));
    const found = make("div", {}), network = networkSection();
    let shown = null, running = false;
    fill(place, make("div.view-head", {}, make("h1", {}, words.views.quality)), head, stale, found, network.section);

    async function refresh() {
        if (running) return;
        running = true;
        let report = null;
        do report = await get("/api/report").catch(() => null);
        while (report && report.revision < state.report_revision); // it changed meanwhile
        running = false;
        if (!report) return;
        forgetCorrections();
        for (const photo of report.photos) photo.src = thumb(photo);
        useData(report, []);
        shown = report.revision;
        stale.hidden = true;
        const advice = report.sources.length ? adviceWords() : [];
        const scroll = scrollY;
        fill(found, advice.length ? make("ul.advice", {}, advice.map(([text, link]) => make("li", {}, make("a", {href: link, onclick: event => {
            event.preventDefault();
            const to = document.querySelector(link);
            if (to) to.scrollIntoView({behavior: "smooth"});
        }}, text)))) : null, [suspectsSection(), confusionSection(), errorsSection(), duplicatesSection(), oddSection(), report.sources.length ? classesSection() : null, unreadableSection()].filter(Boolean));
        scrollTo(0, scroll);
    }

    // Somebody is at work in what would be replaced.
    const inUse = () => found.contains(document.activeElement) || document.querySelector("dialog[open]");
    const end = watch(now => {
        const accuracy = now.accuracy;
        fill(head, accuracy ? [make("p.big-number", {}, words.percent(accuracy.value), " ", make("span.note", {}, words.right)),
            make("div.interval", {role: "img", "aria-label": words.accuracyWords(accuracy)}, make("span.interval-range", {style: `left:${100 * accuracy.low}%;right:${100 - 100 * accuracy.high}%`}), make("span.interval-value", {style: `left:${100 * accuracy.value}%`})),
            make("p.note", {}, words.howJudged(accuracy, accuracy.folds))]
            : make("section.empty", {}, make("h2", {}, words.qualityNoneTitle), make("p", {}, words.qualityNone)),
            now.phase === "auditing" ? make("p.note", {}, words.auditing) : null);
        if (shown === now.report_revision) return;
        if (shown === null || !inUse()) refresh();
        else stale.hidden = false;
    });
    return () => { end(); network.end(); };
}
