// classes.js: the classes with their photos, and all photos of one.
import {make, fill, icon, button, ask, attempt, toast, move, remove, classSelect} from "./parts.js";
import {words} from "./words.js";
import {state, watch, get, post, thumb} from "./api.js";
import {upload, dropTarget, filePicker} from "./upload.js";
import {panel} from "./camera.js";
import {Grid} from "./grid.js";
import {openPhoto} from "./photo.js";

const STRIP = 8;

function classAddress(name) {
    return `#photos/${encodeURIComponent(name)}`;
}

async function addClass(field) {
    const name = field.value.trim();
    if (!name) return;
    const done = await attempt(() => post("/api/classes", {name}));
    if (done) field.value = "";
    field.focus();
}

function newClassForm(main) {
    const field = make("input", {type: "text", id: main ? "first-class" : "new-class", placeholder: words.newClass, "aria-label": words.newClassLabel, maxlength: 100, autocomplete: "off"});
    return make("form.new-class", {onsubmit: event => { event.preventDefault(); addClass(field); }}, field, make(main ? "button.main" : "button", {type: "submit"}, icon("add"), words.addClass));
}

async function renameClass(name) {
    const to = await ask(words.renamePrompt, {text: name, yes: words.rename});
    if (to && to !== name && await attempt(() => post("/api/classes", {name, to}))) toast(words.changes.rename(0, to, name), true);
}

async function removeClass(one) {
    if (one.count && !await ask(words.removeQuestion(one.name, one.count), {yes: words.remove, danger: true})) return;
    if (await attempt(() => post("/api/classes", {name: one.name, remove: true}))) toast(words.changes.unclass(0, "", one.name), true);
}

// One class as a card that stays the same element while its numbers change.
class ClassCard {
    constructor(name) {
        this.name = name;
        this.title = make("a.class-name", {href: classAddress(name)}, make("bdi", {}, name));
        this.count = make("span.note", {});
        this.meter = make("meter", {min: 0, max: 1, low: 0.7, high: 0.9, optimum: 1});
        this.recall = make("span.recall", {}, this.meter, make("span", {}));
        this.strip = make("div.strip", {});
        const menu = make("details.menu", {}, make("summary.icon-only", {"aria-label": `${words.more}: ${name}`}, icon("more")),
            make("div.menu-items", {}, button("button.quiet", words.rename, () => { menu.open = false; renameClass(name); }),
                button("button.quiet", words.remove, () => { menu.open = false; removeClass(this.one); })));
        this.place = make("article.class-card", {"data-class": name, "aria-label": name},
            make("div.class-head", {}, this.title, this.count, menu), this.strip, this.recall,
            make("div.row", {}, make("button", {type: "button", "data-camera": name, "aria-label": `${words.camera}: ${name}`, onclick: () => panel.open(name)}, icon("camera"), words.camera),
                filePicker(words.addPhotos, files => upload(files, name), {label: `${words.addPhotos}: ${name}`})),
            make("div.drop-veil", {"aria-hidden": "true"}, words.dropHere(name)));
        dropTarget(this.place, {onFiles: files => upload(files, name), onPhotos: paths => move(paths, name)});
        addEventListener("click", event => { if (menu.open && !menu.contains(event.target)) menu.open = false; });
    }

    async show(one, revision) {
        const photos = this.photosOf;
        this.one = one;
        this.count.textContent = words.photos(one.count);
        this.recall.hidden = one.recall === null;
        if (one.recall !== null) {
            this.meter.value = one.recall;
            this.meter.setAttribute("aria-label", words.recall(one.recall));
            this.recall.lastChild.textContent = `${words.percent(one.recall, 0)} ${words.right}`;
        }
        if (this.revision === revision) return;
        this.revision = revision;
        const reply = one.count ? await get(`/api/photos?class=${encodeURIComponent(this.name)}&limit=${STRIP}`).catch(() => null) : {photos: []};
        if (!reply || this.revision !== revision) return;
        const shown = reply.photos.map(photo => `${photo.path} ${photo.version}`).join("\n");
        if (shown === photos) return;
        this.photosOf = shown;
        fill(this.strip, reply.photos.length ? reply.photos.map(photo => make("button.tile", {type: "button", "aria-label": photo.path, draggable: true,
            ondragstart: event => event.dataTransfer.setData("application/x-engraft-photos", JSON.stringify([photo.path])),
            onclick: () => openPhoto(photo, this.name)}, make("img", {src: thumb(photo), alt: "", loading: "lazy"})))
            : make("p.note", {}, words.emptyClass));
    }
}

// The view of all classes.
function showClasses(place) {
    const cards = new Map(), list = make("div.class-list", {}), head = make("div.view-head", {}, make("h1", {}, words.views.photos), make("span.note", {}), newClassForm(false));
    const empty = make("section.empty", {hidden: true}, make("h1", {}, words.emptyTitle), make("p", {}, words.emptyText, make("bdi", {}, state ? state.folder : "")), newClassForm(true));
    const hint = make("p.hint-line", {hidden: true}, words.tooFew);
    fill(place, empty, head, hint, list);
    const end = watch(now => {
        const none = !now.classes.length;
        empty.hidden = !none;
        head.hidden = none;
        if (none !== place.wasEmpty) {
            place.wasEmpty = none;
            (none ? empty : head).querySelector("input").focus({preventScroll: true});
        }
        hint.hidden = none || now.classes.filter(one => one.count).length > 1;
        head.children[1].textContent = `${words.classes(now.classes.length)}, ${words.photos(now.photos)}`;
        const names = new Set(now.classes.map(one => one.name));
        for (const [name, card] of cards)
            if (!names.has(name)) {
                card.place.remove();
                cards.delete(name);
            }
        now.classes.forEach((one, i) => {
            if (!cards.has(one.name)) cards.set(one.name, new ClassCard(one.name));
            const card = cards.get(one.name);
            if (list.children[i] !== card.place) list.insertBefore(card.place, list.children[i] || null);
            card.show(one, now.listing_revision);
        });
    });
    return () => { end(); place.wasEmpty = undefined; };
}

// The view of one class.
function showOne(place, name) {
    const bar = make("div.selection", {hidden: true, role: "region", "aria-label": words.selected(0)}), count = make("span.note", {});
    const gone = paths => { if (paths.length) remove(paths).then(() => grid.unselect()); };
    const moveAll = async to => { await move([...grid.selected], to); grid.unselect(); };
    const grid = new Grid({source: `/api/photos?class=${encodeURIComponent(name)}`, label: words.photoGrid(name || words.inboxName),
        onOpen: (photo, from) => openPhoto(photo, name, by => {
            const to = from.at + by;
            if (to < 0 || to >= from.total || !from.photo(to)) return null;
            from.at = to;
            from.mark();
            return from.photo(to);
        }),
        onSelect: paths => {
            bar.hidden = !paths.length;
            if (paths.length) fill(bar, make("strong", {role: "status"}, words.selected(paths.length)),
                make("label.field", {}, make("span", {}, words.moveTo), classSelect(name, moveAll, {inbox: true, label: words.moveTo})),
                button("button", words.delete, () => gone(paths)), button("button.quiet", words.unselect, () => grid.unselect()));
        }, onRemove: gone});
    const targets = make("div.targets", {"aria-hidden": "true"});
    fill(place, make("div.view-head", {}, make("a.back", {href: "#photos"}, icon("back"), words.back), make("h1", {}, make("bdi", {}, name)), count,
        make("div.row", {}, make("button", {type: "button", onclick: () => panel.open(name)}, icon("camera"), words.camera), filePicker(words.addPhotos, files => upload(files, name)))),
        make("p.note", {}, words.selectHint), targets, grid.place, bar);
    const end = watch((now, before) => {
        const one = now.classes.find(own => own.name === name);
        if (!one) {
            location.hash = "#photos";
            return;
        }
        count.textContent = words.photos(one.count);
        const names = now.classes.map(own => own.name).filter(own => own !== name);
        if (targets.names !== names.join("\n")) {
            targets.names = names.join("\n");
            fill(targets, names.map(to => {
                const chip = make("span.target", {}, make("bdi", {}, to));
                dropTarget(chip, {onPhotos: paths => { move(paths, to); grid.unselect(); }});
                return chip;
            }));
        }
        if (!before || before.listing_revision !== now.listing_revision || before.report_revision !== now.report_revision) grid.refresh();
    });
    return () => { end(); grid.free(); };
}

export function showPhotos(place, rest) {
    return rest ? showOne(place, rest) : showClasses(place);
}
