// main.js: the page's frame: which view is shown, what is going on, undo.
import {make, fill, icon, toast, undo} from "./parts.js";
import {words} from "./words.js";
import {connect, watch, inWords} from "./api.js";
import {upload, dropTarget} from "./upload.js";
import {panel} from "./camera.js";
import {showPhotos} from "./classes.js";
import {showInbox} from "./inbox.js";
import {showQuality} from "./quality.js";
import {showTry} from "./trying.js";
import {showTake} from "./takeaway.js";

const VIEWS = {photos: showPhotos, inbox: showInbox, quality: showQuality, try: showTry, take: showTake};

const links = new Map(Object.keys(VIEWS).map(name => {
    const badge = make("span.badge", {hidden: true});
    return [name, make("a", {href: `#${name}`, id: `to-${name}`}, icon(name), make("span", {}, words.views[name]), badge)];
}));
const place = make("main", {id: "view", tabindex: -1});
const projectName = make("a.project", {href: "#photos"}), phase = make("span.phase", {role: "status", "aria-live": "polite"}), score = make("a.score", {href: "#quality", id: "score"});
const undoButton = make("button", {type: "button", id: "undo", onclick: undo}, icon("undo"), make("span", {}, words.undo));
const trouble = make("p.trouble", {hidden: true, role: "alert"});

fill(document.getElementById("page"),
    make("header.top", {}, projectName, make("nav", {"aria-label": words.navigation}, [...links.values()]), make("div.top-side", {}, phase, score, undoButton)),
    trouble, panel.place, place, make("div.drop-page", {"aria-hidden": "true"}, words.dropFolders));

let end = null, shown = "";

function route() {
    const [name, rest] = location.hash.slice(1).split("/"), view = name in VIEWS ? name : "photos";
    const key = `${view}/${rest || ""}`;
    if (key === shown) return;
    shown = key;
    if (end) end();
    if (view !== "photos") panel.close();
    for (const [own, link] of links) {
        if (own === view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    place.className = `view-${view}`;
    fill(place);
    end = VIEWS[view](place, rest ? decodeURIComponent(rest) : "");
    scrollTo(0, 0);
}

function told(now) {
    document.title = words.title(now.name);
    fill(projectName, make("bdi", {title: now.folder}, now.name));
    const kind = words.phases[now.phase], busy = now.phase !== "ready" && now.phase !== "looking";
    const text = now.phase === "looking" ? words.phases.ready : typeof kind === "function" ? kind(now.done, now.total) : kind;
    if (phase.textContent !== text) phase.textContent = text;
    phase.classList.toggle("busy", busy);
    fill(score, now.accuracy ? [make("strong", {}, words.accuracy(now.accuracy)), make("span", {}, words.right)] : words.accuracyNone);
    score.title = now.accuracy ? words.accuracyWords(now.accuracy) : words.qualityNone;
    undoButton.disabled = !now.undo;
    undoButton.title = now.undo ? `${words.undo}: ${inWords(now.undo)}` : words.nothingToUndo;
    const badge = links.get("inbox").querySelector(".badge");
    badge.hidden = !now.inbox;
    badge.textContent = words.n(now.inbox);
    trouble.hidden = !now.trouble;
    trouble.textContent = now.trouble || "";
    document.documentElement.dataset.phase = now.phase;
    document.documentElement.dataset.model = now.model ? now.model.revision : "";
}

// Anywhere else: folders become classes, single photos go to the inbox.
dropTarget(document.body, {onFiles: files => upload(files, null)});
addEventListener("keydown", event => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
        event.preventDefault();
        undo();
    }
});
addEventListener("hashchange", route);
let started = false;
watch(now => {
    told(now);
    if (!started) {
        started = true;
        route();
    }
});
connect(lost => lost ? toast(words.connectionLost) : null);
