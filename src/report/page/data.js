// data.js: the report's JSON (page_write.h says what is in it), and questions to it.

export let data = null;
let thumbs = [];
const numberOfPath = new Map();

export function useData(document_, thumbs_) {
    data = document_;
    thumbs = thumbs_;
    numberOfPath.clear();
    data.photos.forEach((photo, number) => {
        photo.number = number;
        numberOfPath.set(photo.path, number);
    });
}

export function photoOf(path) {
    return numberOfPath.has(path) ? data.photos[numberOfPath.get(path)] : null;
}

// src: where a page that is served has its small pictures.
export function thumbOf(photo) {
    if (photo && photo.src) return photo.src;
    return photo && photo.thumb >= 0 ? `data:image/jpeg;base64,${thumbs[photo.thumb]}` : null;
}

export function className(index) {
    return index < 0 ? "unknown" : data.classes[index];
}

// Of one photo by one source: {answer, probability, own (of its label), right}, or null.
export function judgement(photo, source) {
    const top = photo[source];
    if (!top || !top.length) return null;
    const [answer, probability] = top[0];
    const own = top.find(([index]) => index === photo.label);
    return {answer, probability: probability === null ? 0 : probability, own: own ? own[1] : 0,
            right: answer === photo.label, top};
}

// Who judged it best: photos kept for the test by the model, others by one that had not seen them.
export function anyJudgement(photo) {
    return judgement(photo, "test") || judgement(photo, "fold");
}

export function sourceTitle(source) {
    return source.id === "test" ? `${source.count.toLocaleString("en")} photos it has not learned from`
                                : `all ${source.count.toLocaleString("en")} labelled photos, each judged by a classifier that has not seen it`;
}
