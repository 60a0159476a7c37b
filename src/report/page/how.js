// how.js: how it was made, and how to make and use it again.
import {make, section} from "./dom.js";
import {data} from "./data.js";

export function pythonSnippet(model) {
    return `import json
import math

import numpy as np
import onnxruntime  # pip install onnxruntime Pillow numpy
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(${JSON.stringify(model)})
about = session.get_modelmeta().custom_metadata_map
recipe, classes = json.loads(about["engraft.recipe"]), json.loads(about["engraft.classes"])


def pixels(path):
    """A photo as the network wants it: float32 [1][3][height][width], RGB, 0 to 255."""
    photo = Image.open(path)
    if recipe.get("exif", True):
        photo = ImageOps.exif_transpose(photo)
    if "A" in photo.getbands() or "transparency" in photo.info:
        photo = photo.convert("RGBA")
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
    photo = photo.convert("RGB")
    height, width = recipe["crop"]
    how = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "nearest": Image.NEAREST}[recipe["filter"]]
    if recipe["resize"] == "squash":
        photo = photo.resize((width, height), how)
    elif recipe["resize"] == "short":
        size, (w, h) = recipe["size"], photo.size
        photo = photo.resize((size, size * h // w) if w < h else (size * w // h, size), how)
    left, top = round((photo.width - width) / 2), round((photo.height - height) / 2)
    photo = photo.crop((left, top, left + width, top + height))
    return np.asarray(photo, np.float32).transpose(2, 0, 1)[None]


label, probabilities = session.run(["label", "probabilities"], {"image": pixels("photo.jpg")})
print(classes[label[0]] if label[0] >= 0 else "unknown", float(probabilities[0].max()))
`;
}

export function copyable(text, id) {
    const said = make("span", {role: "status"});
    return make("div.code", {}, make("pre", {id, tabindex: 0}, text), make("button", {type: "button", onclick: () => {
        const done = () => { said.textContent = "copied"; };
        if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => { said.textContent = "select it to copy it"; });
        else said.textContent = "select it to copy it";
    }}, "copy"), said);
}

export function howSection() {
    const how = data.how, commands = [...how.commands];
    if (how.model) commands.push(`engraft predict ${how.model} PHOTO.jpg`);
    if (how.features) commands.push(`engraft audit ${how.features} --apply corrections.csv`);
    return section("how", "How it was made",
        make("dl.facts", {}, how.facts.map(([name, value]) => [make("dt", {}, name), make("dd", {}, make("bdi", {}, value))])),
        commands.length ? [make("h3", {}, "The commands"), copyable(commands.join("\n"), "commands")] : null,
        how.model ? [make("h3", {}, "The model in Python, without engraft"), copyable(pythonSnippet(how.model), "snippet")] : null);
}
