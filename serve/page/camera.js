// camera.js: the camera's picture, and frames of it as JPEG.
import {make, fill, icon, button, toast, classSelect} from "./parts.js";
import {words} from "./words.js";
import {state, send} from "./api.js";
import {newGroup} from "./upload.js";

const LONGEST = 640, QUALITY = 0.9, EVERY_MS = 160, HOLD_MS = 350;

export class Camera {
    constructor() {
        this.video = make("video", {playsinline: true, muted: true, autoplay: true});
        this.video.muted = true;
        this.canvas = document.createElement("canvas");
        this.stream = null;
    }

    async start() {
        if (this.stream) return true;
        try {
            this.stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment", width: {ideal: 1280}, height: {ideal: 720}}, audio: false});
        } catch (error) {
            toast(words.cameraNone(error.message));
            return false;
        }
        this.video.srcObject = this.stream;
        await this.video.play();
        return true;
    }

    stop() {
        if (this.stream) this.stream.getTracks().forEach(track => track.stop());
        this.stream = null;
        this.video.srcObject = null;
    }

    // The frame of now, no longer than `longest` pixels.
    frame(longest = LONGEST) {
        const {videoWidth: w, videoHeight: h} = this.video, scale = Math.min(1, longest / Math.max(w, h, 1));
        if (!w) return Promise.resolve(null);
        this.canvas.width = Math.round(w * scale);
        this.canvas.height = Math.round(h * scale);
        this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
        return new Promise(resolve => this.canvas.toBlob(resolve, "image/jpeg", QUALITY));
    }
}

// The panel that takes photos for a class; there is one.
class Panel {
    constructor() {
        this.camera = new Camera();
        this.count = 0;
        this.recording = false;
        this.heading = make("h2", {});
        this.told = make("span.note", {role: "status"});
        this.record = make("button.main.record", {type: "button", id: "record",
            onpointerdown: event => this.press(event), onpointerup: () => this.lift(), onpointercancel: () => this.lift(),
            onclick: event => { if (!event.detail) this.toggle(); }}); // a click by keyboard has no detail
        this.select = make("span", {});
        this.place = make("section.camera", {"aria-label": words.camera, hidden: true},
            make("div.camera-head", {}, this.heading, make("button.icon-only", {type: "button", "aria-label": words.cameraOff, onclick: () => this.close()}, icon("close"))),
            make("div.screen", {}, this.camera.video), make("div.row", {}, this.record, this.told), make("p.note", {}, words.recordHint));
        addEventListener("keydown", event => {
            if (event.key !== " " || this.place.hidden || /^(INPUT|SELECT|TEXTAREA|BUTTON|A)$/.test(event.target.tagName)) return;
            event.preventDefault();
            this.toggle();
        });
    }

    async open(className) {
        this.pause();
        this.className = className;
        this.count = 0;
        this.place.hidden = false;
        fill(this.heading, words.cameraTitle(""), make("bdi", {}, className));
        this.show();
        if (await this.camera.start()) this.record.focus();
        else this.close();
        this.place.scrollIntoView({block: "nearest"});
    }

    close() {
        this.pause();
        this.camera.stop();
        this.place.hidden = true;
    }

    show() {
        this.record.textContent = this.recording ? words.recording : words.record;
        this.record.classList.toggle("on", this.recording);
        this.told.textContent = this.count ? words.taken(this.count) : "";
    }

    press(event) {
        event.preventDefault();
        this.pressed = performance.now();
        this.toggle();
    }

    // Held: it ends when let go; clicked: it goes on until the next click.
    lift() {
        if (this.recording && performance.now() - this.pressed > HOLD_MS) this.pause();
    }

    toggle() {
        if (this.recording) this.pause();
        else this.run();
    }

    pause() {
        this.recording = false;
        this.show();
    }

    async run() {
        const group = newGroup(), className = this.className;
        this.recording = true;
        this.show();
        while (this.recording && this.className === className) {
            const began = performance.now(), frame = await this.camera.frame();
            if (frame && this.recording) {
                const query = new URLSearchParams({class: className, name: `camera-${Date.now()}.jpg`, group});
                try {
                    await send(`/api/photos?${query}`, frame, "image/jpeg");
                    this.count++;
                } catch (error) {
                    this.recording = false;
                    toast(words.failed(error.message));
                }
                this.show();
            }
            await new Promise(resolve => setTimeout(resolve, Math.max(0, EVERY_MS - (performance.now() - began))));
        }
    }
}

export const panel = new Panel();
