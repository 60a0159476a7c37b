// grid.js: any number of photos as a grid of which only what is on the screen exists.
import {make, fill, icon} from "./parts.js";
import {words} from "./words.js";
import {get, thumb} from "./api.js";
import {PHOTOS} from "./upload.js";

const PAGE = 200, GAP = 10, SMALLEST = 132, AROUND = 2; // photos asked for at a time; pixels; rows kept beyond the screen

export class Grid {
    // source: the address of a list, to which offset and limit are added. onOpen(photo, grid), onSelect(paths)
    constructor({source, label, onOpen, onSelect, onRemove}) {
        Object.assign(this, {source, onOpen, onSelect, onRemove});
        this.total = 0;
        this.pages = new Map();
        this.cells = new Map(); // index: element
        this.selected = new Set(); // paths
        this.at = 0; // where the keyboard is
        this.place = make("div.grid", {role: "listbox", tabindex: 0, "aria-multiselectable": "true", "aria-label": label,
            onkeydown: event => this.key(event), onfocus: () => this.mark()});
        this.draw = () => this.render();
        addEventListener("scroll", this.draw, {passive: true});
        this.sizes = new ResizeObserver(this.draw);
        this.sizes.observe(this.place);
    }

    free() {
        removeEventListener("scroll", this.draw);
        this.sizes.disconnect();
        this.gone = true;
    }

    async refresh() {
        this.stale = new Map(this.pages);
        this.pages.clear();
        await this.page(0);
        this.render(true);
    }

    async page(number) {
        if (this.pages.has(number)) return;
        this.pages.set(number, null); // asked for
        const reply = await get(`${this.source}&offset=${number * PAGE}&limit=${PAGE}`).catch(() => null);
        if (!reply || this.gone) return;
        this.pages.set(number, reply.photos);
        this.total = reply.total;
        this.render(true);
    }

    photo(index) {
        const number = Math.floor(index / PAGE), page = this.pages.get(number) || (this.stale && this.stale.get(number));
        return page ? page[index % PAGE] : null;
    }

    render(anew = false) {
        const width = this.place.clientWidth;
        if (!width) return;
        this.columns = Math.max(2, Math.floor((width + GAP) / (SMALLEST + GAP)));
        const side = (width - GAP * (this.columns - 1)) / this.columns, row = side + GAP, top = this.place.getBoundingClientRect().top;
        this.row = row;
        this.place.style.height = `${Math.max(0, Math.ceil(this.total / this.columns) * row - GAP)}px`;
        const first = Math.max(0, Math.floor(-top / row) - AROUND) * this.columns;
        const last = Math.min(this.total, (Math.ceil((innerHeight - top) / row) + AROUND) * this.columns);
        for (const [index, cell] of this.cells)
            if (index < first || index >= last) {
                cell.remove();
                this.cells.delete(index);
            }
        for (let index = first; index < last; index++) {
            const number = Math.floor(index / PAGE);
            if (!this.pages.has(number)) this.page(number);
            let cell = this.cells.get(index);
            if (!cell) {
                cell = this.make(index);
                this.cells.set(index, cell);
                this.place.append(cell);
            }
            if (anew || !cell.photo) this.fillCell(cell, this.photo(index));
            cell.style.transform = `translate(${(index % this.columns) * (side + GAP)}px, ${Math.floor(index / this.columns) * row}px)`;
            cell.style.width = cell.style.height = `${side}px`;
        }
        if (anew) this.mark();
    }

    make(index) {
        const cell = make("div.cell-photo", {role: "option", id: `photo-${index}`, "aria-selected": "false", "aria-setsize": this.total, "aria-posinset": index + 1, draggable: true,
            onclick: event => this.click(index, event), ondragstart: event => this.drag(index, event)});
        cell.append(make("img", {alt: "", loading: "lazy", decoding: "async"}), make("span.tick", {"data-tick": true}, icon("check")), make("span.wrong-mark", {hidden: true}));
        return cell;
    }

    fillCell(cell, photo) {
        const [image, , mark] = cell.children;
        cell.photo = photo;
        if (!photo) {
            image.removeAttribute("src");
            return;
        }
        const source = thumb(photo);
        if (image.getAttribute("src") !== source) image.src = source;
        const name = words.photoName(photo.path, photo);
        cell.setAttribute("aria-label", name);
        cell.title = name;
        const wrong = photo.answer !== undefined && !photo.right;
        mark.hidden = !wrong;
        mark.textContent = wrong ? photo.answer : "";
        const chosen = this.selected.has(photo.path);
        cell.setAttribute("aria-selected", String(chosen));
    }

    mark() {
        if (this.cells.has(this.at)) this.place.setAttribute("aria-activedescendant", `photo-${this.at}`);
        else this.place.removeAttribute("aria-activedescendant");
        for (const [index, cell] of this.cells) {
            cell.classList.toggle("here", index === this.at);
            if (cell.photo) cell.setAttribute("aria-selected", String(this.selected.has(cell.photo.path)));
        }
    }

    toggle(index, to) {
        const photo = this.photo(index);
        if (!photo) return;
        const chosen = to === undefined ? !this.selected.has(photo.path) : to;
        if (chosen) this.selected.add(photo.path);
        else this.selected.delete(photo.path);
    }

    told() {
        this.mark();
        this.onSelect([...this.selected]);
    }

    unselect() {
        this.selected.clear();
        this.told();
    }

    click(index, event) {
        const from = this.at;
        this.at = index;
        if (event.shiftKey) {
            for (let i = Math.min(from, index); i <= Math.max(from, index); i++) this.toggle(i, true);
            this.told();
        } else if (event.target.closest("[data-tick]") || event.ctrlKey || event.metaKey || this.selected.size) {
            this.toggle(index);
            this.told();
        } else if (this.photo(index)) {
            this.mark();
            this.onOpen(this.photo(index), this);
        }
    }

    drag(index, event) {
        const photo = this.photo(index);
        if (!photo) return;
        const paths = this.selected.has(photo.path) ? [...this.selected] : [photo.path];
        event.dataTransfer.setData(PHOTOS, JSON.stringify(paths));
        event.dataTransfer.effectAllowed = "move";
    }

    key(event) {
        const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, Home: -this.at, End: this.total - 1 - this.at};
        if (event.key in steps) {
            const to = this.at + steps[event.key];
            if (to >= 0 && to < this.total) {
                if (event.shiftKey) this.toggle(this.at, true);
                this.at = to;
                if (event.shiftKey) this.toggle(to, true);
            }
            const top = this.place.getBoundingClientRect().top + Math.floor(this.at / this.columns) * this.row;
            if (top < 120) scrollBy(0, top - 120);
            else if (top + this.row > innerHeight - 90) scrollBy(0, top + this.row - innerHeight + 90);
            this.render();
            this.told();
        } else if (event.key === "Enter" && this.photo(this.at)) {
            this.onOpen(this.photo(this.at), this);
        } else if (event.key === " ") {
            this.toggle(this.at);
            this.told();
        } else if (event.key === "Delete" || event.key === "Backspace") {
            const photo = this.photo(this.at);
            this.onRemove(this.selected.size ? [...this.selected] : photo ? [photo.path] : []);
        } else if (event.key === "Escape" && this.selected.size) {
            this.unselect();
        } else {
            return;
        }
        event.preventDefault();
    }
}
