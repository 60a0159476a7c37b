// trying.js: the classifier tried on what the camera sees, and on photos that it does not have.
import {make, fill, button, Bars, attempt, toast, icon} from "./parts.js";
import {words} from "./words.js";
import {state, watch, send} from "./api.js";
import {Camera} from "./camera.js";
import {dropTarget, filePicker} from "./upload.js";
import {explainInto} from "./photo.js";

const FRAME = 400; // pixels: no network sees more of it

export function showTry(place) {
    const camera = new Camera(), bars = new Bars(), screen = make("div.screen.try-screen", {}), verdict = make("p.verdict", {id: "verdict", "aria-live": "polite"}), told = make("p.note", {id: "speed"});
    const note = make("p.note", {});
    let running = false, left = false, last = null, times = [];
    const why = button("button", words.why, async () => {
        const blob = running ? await camera.frame(FRAME) : last;
        if (!blob) return;
        stop();
        last = blob;
        await explainInto(screen, blob);
        note.textContent = words.whyText;
    }, {id: "why", hidden: true});
    const start = make("button.main", {type: "button", id: "try-camera", onclick: () => running ? stop() : run()}, words.startCamera);

    function show(said, ms) {
        verdict.textContent = said.unknown ? words.unknown : said.label;
        verdict.classList.toggle("is-unknown", said.unknown);
        note.textContent = said.unknown ? words.unknownText : "";
        bars.show(said.top);
        why.hidden = false;
        times.push(performance.now());
        times = times.filter(time => performance.now() - time < 2000);
        const over = times.length > 1 ? (times.at(-1) - times[0]) / 1000 : 0;
        told.textContent = running && over > 0.5 ? `${words.framesPerSecond((times.length - 1) / over)}, ${words.milliseconds(ms)}` : words.milliseconds(ms);
    }

    async function ask(blob) {
        const began = performance.now(), said = await (await send("/api/predict", blob, "image/jpeg")).json();
        return [said, performance.now() - began];
    }

    function stop() {
        running = false;
        camera.stop();
        start.replaceChildren(words.startCamera);
        start.classList.add("main");
    }

    async function run() {
        if (!await camera.start()) return;
        if (left) return camera.stop();
        running = true;
        times = [];
        fill(screen, camera.video);
        start.replaceChildren(words.stopCamera);
        start.classList.remove("main");
        while (running && !left) {
            const blob = await camera.frame(FRAME);
            if (!blob) {
                await new Promise(resolve => setTimeout(resolve, 50));
                continue;
            }
            try {
                const [said, ms] = await ask(blob);
                if (running) show(said, ms);
            } catch (error) {
                if (error.status === 429) {
                    await new Promise(resolve => setTimeout(resolve, 500));
                } else {
                    toast(words.failed(error.message));
                    stop();
                }
            }
        }
    }

    async function tryFiles(files) {
        if (!files.length) return;
        stop();
        last = files[0].file;
        const url = URL.createObjectURL(last), image = make("img", {src: url, alt: files[0].name});
        fill(screen, image);
        const answer = await attempt(() => ask(last));
        if (answer) show(...answer);
    }

    const none = make("section.empty", {hidden: true}, make("p", {}, words.tryNone));
    const work = make("div.try", {}, make("div", {}, screen, make("div.row", {}, start, filePicker(words.tryPhoto, tryFiles, {multiple: false}), make("span.note", {}, words.tryDrop))),
        make("div.answers-side", {}, verdict, bars.place, told, make("div.row", {}, why), note));
    dropTarget(work, {onFiles: tryFiles});
    fill(place, make("div.view-head", {}, make("h1", {}, words.tryTitle)), none, work);
    fill(screen, make("span.screen-empty", {}, icon("camera")));
    const end = watch(now => {
        none.hidden = Boolean(now.model);
        work.hidden = !now.model;
    });
    return () => { left = true; end(); stop(); };
}
