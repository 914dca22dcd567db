import { ask, fault } from "./asking.js";

const form = document.getElementById("sign-in");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("POST", "/v1/sign-in", { key: form.elements.key.value.trim() });
    location.assign(form.dataset.next);
  } catch (error) {
    fault(error);
  }
});
