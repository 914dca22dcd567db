// A decision waits ten seconds before it is sent, whatever page of the console is looked at meanwhile: it can
// be undone until then. It is kept in the browser, so closing the page only puts it off.
import { ask, fault } from "./asking.js";
import { byId } from "./dom.js";
import { uuid } from "./hex.js";
const UNDO = 10_000; // ms
const PENDING = "firstplay.pending";
const toast = byId("undo");
let watching = 0;
export function later(deed) {
    const before = read();
    if (before)
        void settle(before);
    const pending = { ...deed, at: Date.now() + UNDO, key: uuid() };
    localStorage.setItem(PENDING, JSON.stringify(pending));
    watch();
}
export function undo() {
    const pending = read();
    if (!pending)
        return;
    localStorage.removeItem(PENDING);
    location.assign(`/console/cases/${pending.id}`);
}
const read = () => JSON.parse(localStorage.getItem(PENDING) ?? "null");
async function settle(pending) {
    localStorage.removeItem(PENDING);
    toast.hidden = true;
    try {
        await ask("POST", pending.path, pending.body, { "Idempotency-Key": pending.key });
    }
    catch (error) {
        fault(new Error(`Case ${pending.id}: ${error instanceof Error ? error.message : error}`));
    }
}
function watch() {
    clearTimeout(watching);
    const pending = read();
    toast.hidden = !pending;
    if (!pending)
        return;
    const left = Math.ceil((pending.at - Date.now()) / 1000);
    if (left <= 0)
        return void settle(pending);
    toast.textContent = `Case ${pending.id}: ${pending.said}. Undo with u, ${left} s.`;
    watching = window.setTimeout(watch, 250);
}
watch();
