// What a player did with items of the feed, sent in batches; what does not go through is sent again.
import { uuid } from "./hex.js";
const EVERY = 4_000; // ms
const AT_ONCE = 100;
export class Signals {
    queue = [];
    sending = false;
    constructor() {
        setInterval(() => void this.send(), EVERY);
        window.addEventListener("pagehide", () => void this.send());
        document.addEventListener("visibilitychange", () => void this.send());
    }
    add(kind, context, session) {
        this.queue.push({ id: uuid(), kind, context, ...(session === undefined ? {} : { session }) });
    }
    async send() {
        if (this.sending || this.queue.length === 0)
            return;
        this.sending = true;
        const items = this.queue.splice(0, AT_ONCE);
        try {
            const answer = await fetch("/v1/interactions", {
                method: "POST",
                headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ items }),
                keepalive: true, // goes through although the page is left
            });
            if (answer.status >= 500 || answer.status === 429)
                this.queue.unshift(...items);
        }
        catch {
            this.queue.unshift(...items); // the same twice is one
        }
        finally {
            this.sending = false;
        }
    }
}
