// map.js: all photos on a plane, what is alike near each other; its points open the photos.
import {make, fill, named, section} from "./dom.js";
import {data, anyJudgement, className, thumbOf} from "./data.js";
import {openPhoto} from "./photos.js";

// As draw/svg.c has them, for light and dark; a class has a colour and a shape.
const LIGHT = ["#0072b2", "#c84e00", "#008a63", "#b4578f", "#a87400", "#2f86b8", "#6f6a00", "#555b63"];
const DARK = ["#58aee6", "#ff9152", "#3fc79c", "#e6a0c6", "#f0b73c", "#9bd3f2", "#d6cb52", "#b4bac2"];
const SHAPES = [
    (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
    (c, r) => c.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r),
    (c, r) => { c.moveTo(0, -1.2 * r); c.lineTo(1.1 * r, 0.9 * r); c.lineTo(-1.1 * r, 0.9 * r); c.closePath(); },
    (c, r) => { c.moveTo(0, -1.3 * r); c.lineTo(1.3 * r, 0); c.lineTo(0, 1.3 * r); c.lineTo(-1.3 * r, 0); c.closePath(); }];

function mark(context, label, r, dark) {
    context.fillStyle = label < 0 ? (dark ? "#667" : "#bbb") : (dark ? DARK : LIGHT)[label % LIGHT.length];
    context.beginPath();
    SHAPES[label < 0 ? 0 : Math.floor(label / LIGHT.length) % SHAPES.length](context, r);
    context.fill();
}

class PhotoMap {
    constructor(photos) {
        this.photos = photos;
        this.hidden = new Set();
        this.at = null;
        this.canvas = make("canvas.map", {tabindex: 0, role: "application", "aria-label": "map of all photos: arrow keys go from photo to photo, Enter opens one"});
        this.tip = make("div.tip", {hidden: true});
        this.said = make("p.hidden-words", {"aria-live": "polite"});
        this.element = make("div.map-place", {}, this.canvas, this.tip, this.said);
        const xs = photos.map(photo => photo.at[0]), ys = photos.map(photo => photo.at[1]);
        const least = list => list.reduce((a, b) => Math.min(a, b)), most = list => list.reduce((a, b) => Math.max(a, b));
        this.box = [least(xs), most(xs), least(ys), most(ys)];
        this.canvas.addEventListener("pointermove", event => this.point(this.nearest(event)));
        this.canvas.addEventListener("pointerleave", () => this.point(null));
        this.canvas.addEventListener("click", event => { const photo = this.nearest(event); if (photo) openPhoto(photo); });
        this.canvas.addEventListener("keydown", event => this.key(event));
        new ResizeObserver(() => this.draw()).observe(this.element);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
        addEventListener("beforeprint", () => this.draw(true));
        addEventListener("afterprint", () => this.draw());
    }
    place(photo) {
        const [x0, x1, y0, y1] = this.box, edge = 14;
        return [edge + (photo.at[0] - x0) / (x1 - x0 || 1) * (this.width - 2 * edge), edge + (y1 - photo.at[1]) / (y1 - y0 || 1) * (this.height - 2 * edge)];
    }
    visible() {
        return this.photos.filter(photo => !this.hidden.has(photo.label));
    }
    draw(paper = false) {
        this.width = this.element.clientWidth || 600;
        this.height = Math.round(Math.min(Math.max(this.width * 0.62, 280), 640));
        const scale = devicePixelRatio || 1, dark = !paper && matchMedia("(prefers-color-scheme: dark)").matches;
        this.canvas.width = this.width * scale;
        this.canvas.height = this.height * scale;
        this.canvas.style.height = `${this.height}px`;
        const context = this.canvas.getContext("2d"), r = this.photos.length > 4000 ? 2.2 : this.photos.length > 800 ? 3.2 : 4.5;
        context.scale(scale, scale);
        const wrong = [];
        for (const photo of this.visible()) {
            const [x, y] = this.place(photo), said = anyJudgement(photo);
            context.save();
            context.translate(x, y);
            mark(context, photo.label, r, dark);
            context.restore();
            if (said && photo.label >= 0 && !said.right) wrong.push([x, y]);
        }
        context.strokeStyle = dark ? "#fff" : "#000";
        context.lineWidth = 1.4;
        for (const [x, y] of wrong) {
            context.beginPath();
            context.arc(x, y, r + 3, 0, 2 * Math.PI);
            context.stroke();
        }
        if (this.at && !this.hidden.has(this.at.label)) {
            const [x, y] = this.place(this.at);
            context.lineWidth = 3;
            context.beginPath();
            context.arc(x, y, r + 6, 0, 2 * Math.PI);
            context.stroke();
        }
    }
    nearest(event) {
        const box = this.canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
        let best = null, far = 18 * 18;
        for (const photo of this.visible()) {
            const [x, y] = this.place(photo), distance = (x - px) ** 2 + (y - py) ** 2;
            if (distance < far) [best, far] = [photo, distance];
        }
        return best;
    }
    point(photo) {
        if (photo === this.at) return;
        this.at = photo;
        this.draw();
        this.tip.hidden = !photo;
        this.canvas.style.cursor = photo ? "pointer" : "default";
        if (!photo) return;
        const said = anyJudgement(photo), [x, y] = this.place(photo), source = thumbOf(photo);
        const words = `${photo.label >= 0 ? className(photo.label) : "no label"}${said && !said.right ? ` → ${className(said.answer)}` : ""}`;
        fill(this.tip, source ? make("img", {src: source, alt: ""}) : null, make("div", {}, named(words)), make("div.path", {}, make("bdi", {}, photo.path)));
        this.tip.style.left = `${Math.max(0, Math.min(x + 12, this.width - 190))}px`;
        this.tip.style.top = `${y > this.height / 2 ? Math.max(0, y - 190) : y + 12}px`;
        this.said.textContent = `${words}, ${photo.path}`;
    }
    key(event) {
        const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
        if (!way && event.key !== "Enter") return;
        event.preventDefault(); // Enter would go on to the button that has the focus next
        if (!way) {
            if (this.at) openPhoto(this.at);
            return;
        }
        const list = this.visible();
        if (!list.length) return;
        if (!this.at) return this.point(list[0]);
        const [x, y] = this.place(this.at);
        let best = null, cost = Infinity;
        for (const photo of list) {
            const [px, py] = this.place(photo), along = (px - x) * way[0] + (py - y) * way[1], aside = Math.abs((px - x) * way[1]) + Math.abs((py - y) * way[0]);
            if (photo !== this.at && along > 0.5 && along + 2 * aside < cost) [best, cost] = [photo, along + 2 * aside];
        }
        if (best) this.point(best);
    }
    legend() {
        const dark = matchMedia("(prefers-color-scheme: dark)");
        return make("ul.legend", {}, data.classes.map((name, label) => {
            if (!this.photos.some(photo => photo.label === label)) return null;
            const sign = make("canvas", {width: 28, height: 28, "aria-hidden": "true"});
            const paint = () => {
                const context = sign.getContext("2d");
                context.setTransform(1, 0, 0, 1, 0, 0);
                context.clearRect(0, 0, 28, 28);
                context.translate(14, 14);
                mark(context, label, 9, dark.matches);
            };
            paint();
            dark.addEventListener("change", paint);
            const button = make("button", {type: "button", "aria-pressed": "true", onclick: () => {
                if (!this.hidden.delete(label)) this.hidden.add(label);
                button.setAttribute("aria-pressed", String(!this.hidden.has(label)));
                this.draw();
            }}, sign, named(name));
            return make("li", {}, button);
        }));
    }
}

export function mapSection() {
    const photos = data.photos.filter(photo => photo.at);
    if (photos.length < 8) return null;
    const map = new PhotoMap(photos);
    return section("map", "A map of the photos",
        make("p", {}, "Photos that the network finds alike are near each other. A ring marks what is answered wrongly. A point opens its photo, a name in the legend shows or hides its class."),
        map.element, map.legend());
}
