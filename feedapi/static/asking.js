// Requests that change something: with the page's CSRF token, and errors in words.

const csrf = () => document.querySelector("meta[name=csrf]")?.content ?? "";

export async function ask(method, path, body, headers = {}) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(path, {
    method,
    headers: { "X-CSRF-Token": csrf(), ...(json ? { "Content-Type": "application/json" } : {}), ...headers },
    body: json ? JSON.stringify(body) : body,
    keepalive: json, // goes through although the page is left
  });
  if (answer.status === 204) return null;
  const told = await answer.json();
  if (!answer.ok) throw new Error(worded(told));
  return told;
}

function worded(problem) {
  const first = problem.errors?.[0];
  if (!first) return `${problem.title}: ${problem.detail}`;
  return [first.field ?? first.file, first.message, first.remedy && `(${first.remedy})`].filter(Boolean).join(" ");
}

export function fault(error) {
  const box = document.querySelector(".fault");
  box.hidden = !error;
  box.textContent = error?.message ?? "";
}
