// A case: clips blurred, grey and silent until somebody holds to see; decided by keys; ten seconds to undo.
// The next case is fetched while this one is looked at, its clip decoded, so that it takes this one's place at once.
import { ask, fault } from "./asking.js";
import { byId, first, within } from "./dom.js";
import { expose, tellExposure } from "./exposure.js";
import { bare } from "./keys.js";
import { later, undo } from "./pending.js";
const HEARTBEAT = 60_000; // ms
const FPS = 15;
let page = first(".case");
let shown = 0; // which clip the keys are for
let beating = 0;
let ahead = null; // the next case, beside the document
const id = () => page.dataset.case ?? "";
const token = () => Number(page.dataset.token);
const form = () => first("#decide", page);
const clips = () => [...page.querySelectorAll(".clip")];
const clip = () => clips()[shown];
const video = (of = clip()) => of?.querySelector("video") ?? null;
// From case to case
function begin() {
    shown = 0;
    select(0);
    tellExposure();
    clearInterval(beating);
    if (page.dataset.status === "waiting" || page.dataset.mine === "true")
        void claim();
    void prepare();
}
/** Fetch the case that comes next and let its clips decode, out of sight. */
async function prepare() {
    const { following } = page.dataset;
    ahead = null;
    if (!following)
        return;
    const answer = await fetch(`/console/cases/${following}?ahead=true`);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".case");
    if (!answer.ok || !next || page.dataset.following !== following)
        return;
    ahead = document.adoptNode(next);
    for (const one of ahead.querySelectorAll("video"))
        one.load();
    document.documentElement.dataset.ahead = following;
}
function go() {
    const { following } = page.dataset;
    const next = ahead;
    if (!following || next?.dataset.case !== following) {
        return location.assign(following ? `/console/cases/${following}` : "/console");
    }
    page.replaceWith(next);
    page = next;
    history.pushState(null, "", `/console/cases/${following}`);
    document.title = next.dataset.title ?? document.title;
    scrollTo(0, 0);
    fault(null);
    begin();
}
async function claim() {
    const claimed = page;
    try {
        const taken = await ask("POST", `/v1/cases/${id()}/claim`, {});
        claimed.dataset.token = String(taken.token);
        claimed.dataset.mine = "true";
        if (page !== claimed)
            return;
        const beat = () => ask("POST", `/v1/cases/${id()}/heartbeat`, { token: taken.token }).catch(fault);
        beating = window.setInterval(() => void beat(), HEARTBEAT);
    }
    catch (error) {
        fault(error);
    }
}
// Deciding
function decide(outcome) {
    const rules = [...form().querySelectorAll("[name=rule]:checked")].map((one) => one.value);
    if (outcome === "clear" && rules.length)
        return fault("A world that is cleared breaks no rule.");
    if (outcome !== "clear" && !rules.length)
        return fault("Mark the rules that it breaks first.");
    const reason = first("[name=reason]", page).value;
    const body = { outcome, rules, reason, token: token() };
    later({ id: id(), path: `/v1/cases/${id()}/decide`, body, said: outcome.replaceAll("_", " ") });
    go();
}
async function deed(name) {
    try {
        if (name === "approve")
            await ask("POST", `/v1/cases/${id()}/approve`, {});
        else if (name === "release")
            await ask("POST", `/v1/cases/${id()}/release`, { token: token() });
        else {
            const text = prompt(name === "escalate" ? "Why should a senior look?" : "Why do you not agree?");
            if (!text)
                return;
            await ask("POST", `/v1/cases/${id()}/${name}`, { text, token: token() });
        }
        go();
    }
    catch (error) {
        fault(error);
    }
}
// Looking
function select(index) {
    const all = clips();
    reveal(false);
    shown = Math.min(Math.max(index, 0), Math.max(all.length - 1, 0));
    all.forEach((one, n) => one.toggleAttribute("data-chosen", n === shown && all.length > 1));
    if (index !== 0)
        clip()?.scrollIntoView({ block: "nearest" });
}
function reveal(on) {
    for (const still of page.querySelectorAll(".pair .guarded"))
        still.classList.toggle("seen", on);
    const one = clip();
    if (!one)
        return;
    one.classList.toggle("seen", on);
    if (!on)
        return void video()?.pause();
    void video()?.play();
    if (one.dataset.counted)
        return;
    one.dataset.counted = "yes";
    expose();
}
function step(by) {
    const playing = video();
    if (!playing)
        return;
    playing.pause();
    playing.currentTime = Math.max(0, playing.currentTime + by / FPS);
}
function hear() {
    const playing = video();
    if (!playing)
        return;
    playing.muted = !playing.muted;
    clip()?.querySelector(".hear")?.setAttribute("aria-pressed", String(!playing.muted));
}
/** Seconds into the playthrough that a clip shows now. */
const moment = (of) => Number(of.dataset.start) + (video(of)?.currentTime ?? 0);
/** Play on from the very frame that is on screen. */
function onward(of = clip()) {
    const link = of?.querySelector("[data-onward]");
    if (!of || !link)
        return;
    const address = new URL(link.href);
    address.searchParams.set("step", String(Math.round(moment(of) * FPS)));
    location.assign(address);
}
function follow(of) {
    const timeline = page.querySelector(`.timeline[data-playthrough="${of.dataset.playthrough}"]`);
    if (!timeline)
        return;
    const at = String((100 * moment(of)) / Number(timeline.dataset.end));
    for (const line of timeline.querySelectorAll(".playhead")) {
        line.setAttribute("x1", at);
        line.setAttribute("x2", at);
    }
}
/** A click on a lane shows that moment, where a clip does. */
function seek(lane, across) {
    const timeline = lane.closest(".timeline");
    if (!timeline)
        return;
    const at = across * Number(timeline.dataset.end);
    const all = clips();
    const index = all.findIndex((one) => {
        const length = video(one)?.duration ?? 0;
        return one.dataset.playthrough === timeline.dataset.playthrough && at >= Number(one.dataset.start) && at <= Number(one.dataset.start) + length;
    });
    const playing = video(all[index]);
    if (!playing)
        return;
    select(index);
    playing.currentTime = at - Number(all[index]?.dataset.start);
}
// Events: at the document, since cases take each other's place
function choose(event) {
    const one = within(event, ".clip");
    const index = one ? clips().indexOf(one) : -1;
    if (index >= 0 && index !== shown)
        select(index);
}
document.addEventListener("pointerdown", (event) => {
    choose(event);
    if (within(event, ".reveal"))
        reveal(true);
});
for (const end of ["pointerup", "pointercancel"])
    document.addEventListener(end, () => reveal(false));
document.addEventListener("focusin", choose);
window.addEventListener("blur", () => reveal(false));
for (const name of ["timeupdate", "seeked"]) {
    document.addEventListener(name, (event) => { const of = within(event, ".case .clip"); if (of)
        follow(of); }, true);
}
document.addEventListener("click", (event) => {
    const button = within(event, ".case button");
    const lane = within(event, ".lane svg");
    const link = within(event, "[data-onward]");
    if (button?.dataset.outcome)
        decide(button.dataset.outcome);
    if (button?.dataset.deed)
        void deed(button.dataset.deed);
    if (button?.classList.contains("step"))
        step(Number(button.dataset.by));
    if (button?.classList.contains("hear"))
        hear();
    if (lane) {
        const box = lane.getBoundingClientRect();
        seek(lane, (event.clientX - box.left) / box.width);
    }
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        onward(link.closest(".clip") ?? undefined);
    }
});
document.addEventListener("submit", (event) => {
    if (!(event.target instanceof HTMLFormElement) || event.target.method === "dialog")
        return;
    event.preventDefault();
    if (event.target.id === "note")
        void note(event.target);
});
async function note(of) {
    try {
        await ask("POST", `/v1/cases/${id()}/notes`, { text: String(new FormData(of).get("text")) });
        location.reload();
    }
    catch (error) {
        fault(error);
    }
}
const KEYS = {
    j: () => select(shown + 1),
    k: () => select(shown - 1),
    n: go,
    u: undo,
    p: onward,
    m: hear,
    ",": () => step(-1),
    ".": () => step(1),
    "?": () => byId("help").showModal(),
};
const DEEDS = { e: "escalate", g: "release" };
const SECOND = { a: "approve", r: "disagree" };
document.addEventListener("keydown", (event) => {
    if (!bare(event))
        return;
    const key = event.key;
    const named = CSS.escape(key);
    const rule = page.querySelector(`[name=rule][data-key="${named}"]`);
    const outcome = page.querySelector(`[data-outcome][data-key="${named}"]`)?.dataset.outcome;
    const done = SECOND[key] ?? DEEDS[key];
    if (key === " " && (within(event, ".reveal") || !within(event, "button, summary, input, a"))) {
        event.preventDefault();
        if (!event.repeat)
            reveal(true);
    }
    else if (event.repeat && key !== "," && key !== ".")
        return;
    else if (rule)
        rule.checked = !rule.checked;
    else if (outcome)
        decide(outcome);
    else if (done && page.querySelector(`[data-deed=${done}]`))
        void deed(done);
    else
        KEYS[key]?.();
});
document.addEventListener("keyup", (event) => { if (event.key === " ")
    reveal(false); });
window.addEventListener("popstate", () => location.reload());
begin();
