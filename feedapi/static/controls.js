// Keyboard, touch and gamepad: all end in one set of held keys, which is reported whenever it changes.
import { KEY } from "./wire.js";
const BY_CODE = {
    ArrowLeft: KEY.LEFT, KeyA: KEY.LEFT,
    ArrowRight: KEY.RIGHT, KeyD: KEY.RIGHT,
    ArrowUp: KEY.UP, KeyW: KEY.UP,
    ArrowDown: KEY.DOWN, KeyS: KEY.DOWN,
    Space: KEY.INTERACT, KeyE: KEY.INTERACT, Enter: KEY.INTERACT,
};
export class Controls {
    changed;
    gesture;
    sources = new Map(); // what holds keys (a key code, a pointer, a gamepad) -> their bits
    /** changed(held, timeStamp) is called on every change; gesture() on every press. Keys count where `heard` has them. */
    constructor(changed, gesture, heard = window) {
        this.changed = changed;
        this.gesture = gesture;
        heard.addEventListener("keydown", (event) => this.keyDown(event));
        window.addEventListener("keyup", (event) => this.release(event.code, event.timeStamp));
        window.addEventListener("blur", (event) => this.releaseAll(event.timeStamp));
        document.addEventListener("visibilitychange", (event) => this.releaseAll(event.timeStamp));
        for (const button of document.querySelectorAll("[data-key]"))
            this.wireButton(button);
    }
    get held() {
        return [...this.sources.values()].reduce((all, key) => all | key, 0);
    }
    keyDown(event) {
        const key = BY_CODE[event.code];
        const target = event.target instanceof Element ? event.target : null;
        if (key === undefined || event.ctrlKey || event.metaKey || event.altKey)
            return;
        if (target?.closest("input[type=number], select, dialog"))
            return;
        if (target?.closest("button, a, summary, input") && (event.code === "Space" || event.code === "Enter"))
            return;
        event.preventDefault();
        if (!event.repeat)
            this.press(event.code, key, event.timeStamp);
    }
    wireButton(button) {
        const key = Number(button.dataset.key);
        button.addEventListener("pointerdown", (event) => {
            event.preventDefault();
            button.setPointerCapture(event.pointerId);
            button.classList.add("down-now");
            this.press(`pointer ${event.pointerId}`, key, event.timeStamp);
        });
        for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
            button.addEventListener(name, (event) => {
                button.classList.remove("down-now");
                this.release(`pointer ${event.pointerId}`, event.timeStamp);
            });
        }
        button.addEventListener("contextmenu", (event) => event.preventDefault());
    }
    /** What a source holds from now on, as bits; nothing is told where that changes nothing. */
    hold(source, keys, at) {
        if ((this.sources.get(source) ?? 0) === keys)
            return;
        if (keys === 0)
            this.release(source, at);
        else
            this.press(source, keys, at);
    }
    press(source, keys, at) {
        this.sources.set(source, keys);
        this.gesture();
        this.changed(this.held, at);
    }
    release(source, at) {
        if (this.sources.delete(source))
            this.changed(this.held, at);
    }
    releaseAll(at) {
        if (this.sources.size > 0) {
            this.sources.clear();
            this.changed(0, at);
        }
    }
}
