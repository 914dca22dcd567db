// The feed: one world fills the screen and plays; the next one is made ready meanwhile.
//
// The list of slides scrolls and snaps by itself, so a swipe needs no script. Whichever slide is in view plays,
// and only that one; keys, the wheel, buttons and gamepads bring another one into view at once.
import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { Gamepads } from "./gamepad.js";
import { bare } from "./keys.js";
import { hearts } from "./live.js";
import { askTicket, fresh, Play, Refusal } from "./session.js";
import { share } from "./share.js";
import { Signals } from "./signals.js";
import { Speaker } from "./sound.js";
const AHEAD = 3; // slides before the end at which more are asked for
const MORE = 6; // slides that are asked for
const READY_EVERY = 20_000; // ms; a ticket is good for 30 s
const AWAY = 30_000; // ms out of sight, after which the place is given back
const WHEEL = 40; // pixels that mean the next one
const WHEEL_REST = 160; // ms without a turn of the wheel, after which it counts anew
const QUIET = matchMedia("(prefers-reduced-motion: reduce)");
const scroller = first(".feed");
const template = byId("slide");
const told = byId("told");
const speaker = new Speaker(24000, 1600);
const signals = new Signals();
const slides = [];
let next = null;
let loading = false;
let here = -1; // which slide is in view; as many as there are: the end
let play = null;
// Slides
/** Takes a slide that the server wrote, or fills a new one. */
function add(item, element = filled(item)) {
    if (!element.isConnected)
        scroller.insertBefore(element, byId("end"));
    const canvas = first("canvas", element);
    const slide = { item, element, canvas, seen: false, ticket: null, asking: false };
    slides.push(slide);
    const on = (name, act) => first(`[data-do=${name}]`, element).addEventListener("click", act);
    on("play", () => begin(slide));
    on("about", () => void about(slide));
    on("share", () => void share(item.title, new URL(`/worlds/${item.id}`, location.href).href, told));
    on("report", report);
    on("mute", mute);
    on("remix", () => signals.add("remixed", item.context));
    sayMuted(first("[data-do=mute]", element));
    element.inert = true;
    watcher.observe(element);
}
function filled(item) {
    const element = first(".slide", template.content.cloneNode(true));
    const set = (name, text) => (first(`[data-say=${name}]`, element).textContent = text);
    element.setAttribute("aria-label", item.title);
    set("title", item.title);
    set("prompt", item.prompt);
    set("label", item.label);
    set("flashing", item.flashing);
    set("age", `${item.rating}+`);
    set("descriptors", item.descriptors.join(", "));
    const remix = first("[data-say=remix-of]", element);
    remix.textContent = item.remix_of === null ? "" : `Remix of ${item.remix_of}`;
    remix.hidden = item.remix_of === null;
    const still = first(".waiting", element);
    if (item.still === null)
        still.remove();
    else
        still.src = item.still;
    for (const name of ["remix", "world"]) {
        const link = first(`[data-link=${name}]`, element);
        link.href = link.href.replace("WORLD", encodeURIComponent(item.id));
    }
    return element;
}
async function more() {
    if (loading || next === null)
        return;
    loading = true;
    try {
        const query = new URLSearchParams({ cursor: next, limit: String(MORE) });
        let answer = await fetch(`/v1/feed?${query}`);
        if (answer.status === 410 || answer.status === 400)
            answer = await fetch(`/v1/feed?limit=${MORE}`); // the ranking is gone
        if (!answer.ok)
            return;
        const page = (await answer.json());
        const known = new Set(slides.map((slide) => slide.item.id));
        const before = slides.length;
        for (const item of page.items)
            if (!known.has(item.id))
                add(item);
        next = page.next;
        if (here === before && slides.length > before) {
            here = slides.length; // somebody was quicker, and came to the end: it has moved on
            bring(before);
        }
    }
    catch {
        // the server cannot be reached: asked again with the next slide
    }
    finally {
        loading = false;
    }
}
// Which one is in view
const watcher = new IntersectionObserver(
// where it is now: what the entries say may be of before the last key press
() => land(Math.round(scroller.scrollTop / scroller.clientHeight)), { root: scroller, threshold: [0.61] });
/** Bring a slide into view, and play it without waiting for the way there. */
function go(by) {
    const at = here + by;
    if (at < 0 || at > slides.length)
        return;
    const element = bring(at);
    if (!QUIET.matches) {
        const from = { transform: `translateY(${by * 12}%)`, opacity: 0.3 };
        element.animate([from, { transform: "none", opacity: 1 }], { duration: 180, easing: "ease-out" });
    }
}
function bring(at) {
    const element = slides[at]?.element ?? byId("end");
    scroller.scrollTo({ top: element.offsetTop, behavior: "instant" });
    land(at);
    return element;
}
function land(at) {
    if (at === here)
        return;
    leave();
    here = at;
    byId("back").disabled = at === 0;
    byId("on").disabled = at === slides.length;
    byId("end").inert = at !== slides.length; // else Tab would lead there, and away from the world
    told.textContent = "";
    if (slides.length - at <= AHEAD)
        void more();
    const slide = slides[at];
    if (slide === undefined)
        return;
    slide.element.inert = false;
    slide.canvas.focus({ preventScroll: true });
    if (!slide.seen)
        signals.add("seen", slide.item.context);
    slide.seen = true;
    // somebody who wants little motion says when it begins
    if (QUIET.matches && document.documentElement.dataset.begun !== "yes")
        offer(slide, "");
    else
        begin(slide);
}
/** End what plays, and give the place back. */
function leave() {
    const slide = slides[here];
    if (slide !== undefined) {
        slide.element.inert = true;
        slide.element.dataset.playing = "no";
    }
    play?.leave();
    play = null;
    document.documentElement.dataset.live = "no";
}
// What plays
function begin(slide) {
    play?.leave();
    first("[data-do=play]", slide.element).hidden = true;
    document.documentElement.dataset.begun = "yes";
    play = new Play(slide.item.id, stageOf(slide), slide.item.context);
    const ahead = slide.ticket;
    slide.ticket = null;
    void play.start(ahead);
}
function stageOf(slide) {
    const say = (name, text) => (first(`[data-say=${name}]`, slide.element).textContent = text);
    return {
        context: opaque(slide.canvas),
        speaker,
        notice: (text, again = false) => (again ? offer(slide, text) : notice(slide, text)),
        shown: (frame) => {
            slide.canvas.dataset.tick = String(frame.tick);
            if (document.documentElement.dataset.live !== "yes")
                document.documentElement.dataset.live = "yes";
            say("health", hearts(frame.health));
            say("coins", String(frame.coins));
            say("keys", String(frame.keys));
        },
        began: (session) => {
            slide.element.dataset.playing = "yes";
            signals.add("played", slide.item.context, session);
            if (controls.held)
                play?.keys(controls.held, performance.now()); // held since before it came into view
            ready();
        },
        ended: () => (document.documentElement.dataset.live = "no"),
    };
}
function notice(slide, text) {
    const box = first(".notice", slide.element);
    box.hidden = text === "";
    box.textContent = text;
}
/** A button begins, or begins again. */
function offer(slide, why) {
    notice(slide, why);
    first("[data-do=play]", slide.element).hidden = false;
}
/** Get the right to play what comes next, and its picture, so that it begins at once. */
function ready() {
    const slide = slides[here + 1];
    if (slide === undefined || slide.asking || fresh(slide.ticket) || play === null)
        return;
    slide.element.querySelector(".waiting")?.setAttribute("loading", "eager");
    slide.asking = true;
    askTicket(slide.item.id, slide.item.context)
        .then((ticket) => (slide.ticket = ticket))
        .catch((error) => {
        if (!(error instanceof Refusal))
            throw error; // it is asked for again when it is in view, and says why not
    })
        .finally(() => (slide.asking = false));
}
let away = 0;
function hidden() {
    clearTimeout(away);
    const slide = slides[here];
    if (document.hidden && slide !== undefined) {
        away = window.setTimeout(() => {
            play?.leave();
            play = null;
            offer(slide, "Paused while you were away.");
        }, AWAY);
    }
}
// What can be done
function report() {
    const slide = slides[here];
    if (slide === undefined || !play?.report())
        return;
    signals.add("reported", slide.item.context);
    told.textContent = "Reported. Thank you: a person can look at this moment.";
}
function mute() {
    speaker.setMuted(!speaker.muted);
    for (const { element } of slides)
        sayMuted(first("[data-do=mute]", element));
}
function sayMuted(button) {
    button.setAttribute("aria-pressed", String(speaker.muted));
    button.title = speaker.muted ? "Sound is off (M)" : "Sound is on (M)";
}
async function about(slide) {
    const dialog = byId("about");
    signals.add("opened", slide.item.context);
    controls.releaseAll(performance.now());
    const answer = await fetch(`/worlds/${encodeURIComponent(slide.item.id)}/label`);
    if (!answer.ok) {
        told.textContent = "This world has left the feed.";
        return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    first(".says", dialog).replaceChildren(...page.body.childNodes);
    dialog.showModal();
}
const KEYS = {
    PageDown: () => go(1),
    PageUp: () => go(-1),
    KeyJ: () => go(1),
    KeyK: () => go(-1),
    KeyR: report,
    KeyM: mute,
};
window.addEventListener("keydown", (event) => {
    if (!bare(event) || event.repeat)
        return;
    const act = event.shiftKey && event.code === "ArrowDown" ? () => go(1)
        : event.shiftKey && event.code === "ArrowUp" ? () => go(-1)
            : KEYS[event.code];
    if (act === undefined)
        return;
    event.preventDefault();
    event.stopImmediatePropagation(); // with shift an arrow is no key of play
    act();
});
let turned = 0;
let resting = 0;
scroller.addEventListener("wheel", (event) => {
    if (event.ctrlKey || scrolls(event))
        return;
    event.preventDefault();
    clearTimeout(resting);
    resting = window.setTimeout(() => (turned = 0), WHEEL_REST);
    const before = turned;
    turned += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL;
    if (Math.abs(before) < WHEEL && Math.abs(turned) >= WHEEL)
        go(turned > 0 ? 1 : -1);
}, { passive: false });
/** Whether what is under the wheel is longer than its place, and not at its end. */
function scrolls({ target, deltaY }) {
    const part = target instanceof Element ? target.closest(".facts") : null;
    if (part === null || part.scrollHeight <= part.clientHeight + 1)
        return false;
    return deltaY > 0 ? part.scrollTop + part.clientHeight < part.scrollHeight - 1 : part.scrollTop > 0;
}
const controls = new Controls((held, at) => play?.keys(held, at), () => speaker.unlock());
new Gamepads(controls, go);
byId("on").addEventListener("click", () => go(1));
byId("back").addEventListener("click", () => go(-1));
document.addEventListener("visibilitychange", hidden);
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", (event) => event.persisted && location.reload()); // its session has ended
window.addEventListener("pointerdown", () => speaker.unlock());
setInterval(ready, READY_EVERY);
const begun = JSON.parse(scroller.dataset.page ?? "null");
const written = [...scroller.querySelectorAll(".slide")];
begun.items.forEach((item, at) => add(item, written[at]));
next = begun.next;
watcher.observe(byId("end"));
land(0);
