// Begins a session with an API key, and goes on to the page that was wanted.
import { ask, fault } from "./asking.js";
const form = document.querySelector("#sign-in");
form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
        const key = String(new FormData(form).get("key")).trim();
        await ask("POST", "/v1/sign-in", { key });
        location.assign(form.dataset.next ?? "/studio");
    }
    catch (error) {
        fault(error);
    }
});
