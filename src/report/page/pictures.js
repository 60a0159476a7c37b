// pictures.js: curves that the library drew.
import {make, section} from "./dom.js";
import {data} from "./data.js";

// The library's own SVG: its names are text there already.
function drawn(svg) {
    const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    parsed.setAttribute("class", "eg");
    parsed.removeAttribute("width");
    parsed.removeAttribute("height");
    return document.importNode(parsed, true);
}

export function picturesSection() {
    if (!data.pictures.length) return null;
    return section("pictures", "Curves", data.pictures.map(one =>
        make("figure", {id: `picture-${one.id}`}, make("figcaption", {}, one.title), make("div.scroll.picture", {tabindex: 0, role: "region", "aria-label": one.title}, drawn(one.svg)))));
}
