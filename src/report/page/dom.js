// dom.js: elements made of text, so that no name from outside is ever read as HTML.

// make("button.small", {type: "button", onclick: f}, "text", child, [more children])
export function make(kind, properties, ...children) {
    const [tag, ...classes] = kind.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(properties || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (name === "style") element.style.cssText = value; // an attribute is what a strict policy forbids
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...there(children));
    return element;
}

function there(children) {
    return children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
}

// In place of what an element held.
export function fill(element, ...children) {
    element.replaceChildren(...there(children));
}

// Names may be of any length and direction: they stay apart from the words around them.
export function named(text, kind = "bdi") {
    return make(kind, {title: text.length > 40 ? text : null}, text);
}

export function percent(value, digits = 1) {
    return value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`;
}

export function counted(n, one, more = `${one}s`) {
    return `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
}

export function section(id, title, ...children) {
    return make("section", {id, "aria-labelledby": `${id}-title`}, make("h2", {id: `${id}-title`}, title), ...children);
}

// Offers text as a file.
export function saveText(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], {type}));
    const link = make("a", {href: url, download: name});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}
