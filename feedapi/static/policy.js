// One bundle: its next step on a click, and a backtest that is followed until it is done.
import { ask, fault } from "./asking.js";
import { byId, first, within } from "./dom.js";
const POLL = 1000; // ms
const page = first(".policy");
const base = `/v1/policies/${page.dataset.bundle}`;
async function follow() {
    const { state, error } = await ask("GET", `${base}/backtests`);
    if (state === "running") {
        byId("running").textContent = "It is running…";
        setTimeout(() => void follow().catch(fault), POLL);
    }
    else if (state === "failed") {
        byId("running").textContent = error;
    }
    else
        location.reload();
}
async function act(name) {
    fault(null);
    try {
        await ask("POST", `${base}/${name}`, {});
        if (name === "backtests")
            await follow();
        else
            location.reload();
    }
    catch (error) {
        fault(error);
    }
}
page.addEventListener("click", (event) => {
    const button = within(event, "[data-do]");
    if (button?.dataset.do)
        void act(button.dataset.do);
});
if (page.dataset.running === "running")
    void follow().catch(fault);
