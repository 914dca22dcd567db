// One live session's socket: takes frames, draws each newest one, tells the server what is drawn, sends keys.
import { byId } from "./dom.js";
import { KEY_FLAG, VIDEO_FLAG } from "./protocol.js";
import { Pictures } from "./video.js";
import { drawnMessage, keyFrameMessage, keysMessage, parseFrame, reportMessage, viewMessage } from "./wire.js";
export class Live {
    hooks;
    socket;
    over = false;
    newest = 0;
    dark = false;
    pictures = new Pictures(() => this.send(keyFrameMessage()));
    constructor(path, hooks) {
        this.hooks = hooks;
        const address = new URL(path, location.href);
        address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
        this.socket = new WebSocket(address);
        this.socket.binaryType = "arraybuffer";
        this.socket.addEventListener("message", ({ data }) => {
            if (typeof data === "string")
                hooks.told?.(JSON.parse(data));
            else
                void this.receive(parseFrame(data));
        });
        this.socket.addEventListener("close", (event) => {
            if (this.over)
                return;
            this.over = true; // a frame that is still being decoded must not paint over why it ended
            this.pictures.close();
            hooks.closed(event);
        });
    }
    async receive(frame) {
        if (frame.jpeg.length === 0)
            return this.darken();
        this.hooks.heard(frame.sound);
        const bitmaps = await Promise.all(this.wanted(frame).map(async ([name, data]) => {
            const video = name === "frame" && (frame.flags & VIDEO_FLAG) !== 0;
            const coded = { tick: frame.tick, data, video, key: (frame.flags & KEY_FLAG) !== 0 };
            return [name, await this.pictures.decode(coded)];
        }));
        if (frame.tick > this.newest && !this.over && !this.dark) {
            this.newest = frame.tick;
            for (const [name, bitmap] of bitmaps)
                if (bitmap)
                    this.hooks.contexts[name]?.drawImage(bitmap, 0, 0);
            this.hooks.shown(frame);
        }
        for (const [, bitmap] of bitmaps)
            bitmap?.close();
        requestAnimationFrame((now) => this.paint(frame, now));
    }
    wanted(frame) {
        const all = [
            ["frame", frame.jpeg],
            ["truth", frame.beside?.jpeg],
            ["difference", frame.beside?.difference],
        ];
        return all.flatMap(([name, jpeg]) => (jpeg && this.hooks.contexts[name] ? [[name, jpeg]] : []));
    }
    /** The server takes the picture back: what is still being decoded must not be shown either. */
    darken() {
        this.dark = true;
        for (const context of Object.values(this.hooks.contexts)) {
            context.fillStyle = "black";
            context.fillRect(0, 0, context.canvas.width, context.canvas.height);
        }
    }
    // Acknowledged when the browser paints, so that a hidden or slow page gets no more frames than it can show.
    paint(frame, now) {
        this.send(drawnMessage(frame.tick));
        if (!this.over)
            this.hooks.painted(frame, now);
    }
    keys(held, at) {
        this.send(keysMessage(held, at));
    }
    view(bits) {
        this.send(viewMessage(bits));
    }
    report() {
        this.send(reportMessage());
    }
    send(message) {
        if (this.socket.readyState === WebSocket.OPEN)
            this.socket.send(message);
    }
    leave() {
        this.over = true;
        this.pictures.close();
        // in order: the server keeps no place for somebody who left; a socket that is still opening cannot say so
        const close = () => this.socket.close(1000);
        if (this.socket.readyState === WebSocket.CONNECTING)
            this.socket.addEventListener("open", close);
        else
            close();
    }
}
/** Shows how fast play answers: from key to picture, and where the time goes. */
export class Pace {
    latencies = [];
    frames = 0;
    since = performance.now();
    constructor() {
        setInterval(() => this.countFrames(), 2000);
    }
    measure(frame, now) {
        this.frames += 1;
        if (frame.echo === 0)
            return;
        this.latencies = [...this.latencies.slice(-49), now - frame.echo];
        const sorted = [...this.latencies].sort((a, b) => a - b);
        const median = sorted[sorted.length >> 1] ?? 0;
        byId("latency").textContent = `${Math.round(median)} ms (median of ${sorted.length})`;
        byId("waited").textContent = `${frame.waitedMs.toFixed(0)} ms`;
        byId("step").textContent = `${frame.stepMs.toFixed(1)} ms`;
        byId("encode").textContent = `${frame.encodeMs.toFixed(2)} ms`;
    }
    countFrames() {
        const now = performance.now();
        byId("rate").textContent = ((this.frames * 1000) / (now - this.since)).toFixed(1);
        this.frames = 0;
        this.since = now;
    }
}
export const hearts = (health) => "♥".repeat(health) + "♡".repeat(Math.max(0, 3 - health));
