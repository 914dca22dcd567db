// How much somebody has had to see since they signed in, and when it is time for a break.
import { csrf } from "./asking.js";
const BREAK_AFTER = 40; // clips seen in full
const KEPT = "firstplay.exposure";
/** Enough of the page's token to tell one sign-in from another, and too little to use it. */
const signIn = () => csrf().slice(0, 8);
function read() {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    return kept?.of === signIn() ? kept.count : 0;
}
/** One more was seen. */
export function expose() {
    const kept = { of: signIn(), count: read() + 1 };
    localStorage.setItem(KEPT, JSON.stringify(kept));
    tellExposure();
}
/** Says so where the page has room for it. */
export function tellExposure() {
    const place = document.getElementById("exposure");
    if (!place)
        return;
    const count = read();
    const tired = count >= BREAK_AFTER;
    place.classList.toggle("uncleared", tired);
    place.textContent = `You have seen ${count} ${count === 1 ? "clip" : "clips"} in full since you signed in.${tired ? " That is a lot: take a break of ten minutes, away from the screen." : ""}`;
}
