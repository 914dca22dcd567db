// Requests that change something: with the page's CSRF token, and errors in words.

interface Problem {
  title: string;
  detail: string;
  errors?: { field?: string; file?: string; message: string; remedy?: string }[];
}

/** The token of this sign-in that goes with everything that changes something. */
export const csrf = () => document.querySelector<HTMLMetaElement>("meta[name=csrf]")?.content ?? "";

/** The answer's JSON, null where there is none. Throws an Error in words that the page can show. */
export async function ask<Told = unknown>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Told> {
  const bytes = body instanceof Blob;
  const json = body !== undefined && !bytes;
  const answer = await fetch(path, {
    method,
    headers: { "X-CSRF-Token": csrf(), ...(json ? { "Content-Type": "application/json" } : {}), ...headers },
    body: bytes ? body : json ? JSON.stringify(body) : null,
    keepalive: json && JSON.stringify(body).length < 60_000, // goes through although the page is left
  });
  if (answer.status === 204) return null as Told;
  const told: unknown = await answer.json();
  if (!answer.ok) throw new Error(worded(told as Problem));
  return told as Told;
}

function worded(problem: Problem): string {
  const first = problem.errors?.[0];
  if (!first) return `${problem.title}: ${problem.detail}`;
  return [first.field ?? first.file, first.message, first.remedy && `(${first.remedy})`].filter(Boolean).join(" ");
}

/** Shows what went wrong in the page's own place for it; null takes it away. */
export function fault(error: unknown): void {
  const box = document.querySelector<HTMLElement>(".fault");
  if (!box) return;
  box.hidden = !error;
  box.textContent = error instanceof Error ? error.message : error ? String(error) : "";
}
