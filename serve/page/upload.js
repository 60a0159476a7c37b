// upload.js: photos from disks to the program, some at a time.
import {words} from "./words.js";
import {send} from "./api.js";
import {toast, make} from "./parts.js";

const AT_ONCE = 4;
const waiting = [];
let running = 0, total = 0, done = 0, taken = 0, refused = [], meter = null, groups = 0;

export function newGroup() {
    return `${Date.now()}-${++groups}`;
}

function show() {
    if (!meter) {
        meter = make("div.uploading", {role: "status"}, make("span", {}), make("progress", {}));
        document.body.append(meter);
    }
    meter.hidden = done >= total;
    meter.firstChild.textContent = words.uploading(done, total);
    meter.lastChild.max = total;
    meter.lastChild.value = done;
    if (done < total || !total) return;
    if (taken) toast(words.changes.add(taken, lastClass), true);
    if (refused.length) toast(words.refused(refused.length, refused[0].reason));
    total = done = taken = 0;
    refused = [];
}

let lastClass = "";

async function next() {
    const job = waiting.shift();
    if (!job) return;
    running++;
    const query = new URLSearchParams({name: job.name, group: job.group});
    if (job.className !== null) query.set("class", job.className);
    try {
        const reply = await (await send(`/api/photos?${query}`, job.file)).json();
        taken += reply.added.length;
        refused.push(...reply.refused);
    } catch (error) {
        refused.push({path: job.name, reason: error.message});
    }
    running--;
    done++;
    show();
    next();
}

// className null: by the folder in its name, as in a zip.
export function upload(files, className, group = newGroup()) {
    for (const {file, name, folder} of files) {
        const zip = /\.zip$/i.test(name);
        const own = className !== null ? className : zip ? null : folder || "";
        waiting.push({file, name, className: own, group});
        total++;
        lastClass = own ?? "";
    }
    while (running < AT_ONCE && waiting.length) next();
    if (files.length) show();
}

export function listed(fileList) {
    return [...fileList].map(file => ({file, name: file.name, folder: ""}));
}

function entries(reader) {
    return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

async function walk(entry, folder, found) {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        found.push({file, name: entry.name, folder});
        return;
    }
    const reader = entry.createReader();
    for (let some = await entries(reader); some.length; some = await entries(reader))
        for (const one of some) await walk(one, entry.name, found);
}

// What was dropped: files, and those in folders, with the folder that each lies in.
export async function dropped(transfer) {
    const roots = [...transfer.items].map(item => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean), found = [];
    if (!roots.length) return listed(transfer.files);
    for (const root of roots) await walk(root, "", found);
    return found;
}

export const PHOTOS = "application/x-engraft-photos"; // paths that are dragged within the page

// An element that photos may be dropped on. onFiles, onPhotos: what is done with them.
export function dropTarget(element, {onFiles = null, onPhotos = null}) {
    let depth = 0;
    const wanted = event => {
        const types = event.dataTransfer ? [...event.dataTransfer.types] : [];
        return (onPhotos && types.includes(PHOTOS)) || (onFiles && types.includes("Files") && !types.includes(PHOTOS));
    };
    element.addEventListener("dragenter", event => {
        if (!wanted(event)) return;
        event.preventDefault();
        event.stopPropagation();
        depth++;
        element.classList.add("dropping");
    });
    element.addEventListener("dragover", event => {
        if (!wanted(event)) return;
        event.preventDefault();
        event.stopPropagation();
    });
    element.addEventListener("dragleave", event => {
        if (wanted(event) && --depth <= 0) {
            depth = 0;
            element.classList.remove("dropping");
        }
    });
    element.addEventListener("drop", async event => {
        if (!wanted(event)) return;
        event.preventDefault();
        event.stopPropagation();
        depth = 0;
        element.classList.remove("dropping");
        document.body.classList.remove("dragging-files");
        const paths = event.dataTransfer.getData(PHOTOS);
        if (paths && onPhotos) onPhotos(JSON.parse(paths));
        else if (onFiles) onFiles(await dropped(event.dataTransfer));
    });
}

// A button that lets files be chosen.
export function filePicker(text, onFiles, {multiple = true, label} = {}) {
    const input = make("input", {type: "file", accept: "image/*,.zip,.heic,.tif,.tiff", multiple, "aria-label": label || text, class: "file",
        onchange: () => { onFiles(listed(input.files)); input.value = ""; }});
    return make("label.button", {}, input, make("span", {}, text));
}
