// The server's API: JSON in and out, one stream reader, and errors that say what happened.

/** Codes of errors that concern the whole page and not one request. */
export const PAGE_STATES = new Set(["signed_out", "loading", "offline"]);

/** What the server refused, in its own words. */
export class ApiError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** What only a page of this server can read and send back; see "CSRF" in SECURITY.md. */
function csrf() {
  const known = new Map(document.cookie.split("; ").map((pair) => pair.split("=", 2)));
  const any = [...known.keys()].find((name) => name.startsWith("homeground-csrf-"));
  return { "X-CSRF-Token": known.get(`homeground-csrf-${location.port}`) ?? known.get(any) ?? "" };
}

async function send(path, options) {
  const headers = options.method ? { ...options.headers, ...csrf() } : {};
  try {
    return await fetch(path, { ...options, headers, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("", "offline", 0);
  }
}

export function errorFrom(status, body) {
  const error = body?.error ?? {};
  const code = status === 401 ? "signed_out" : (error.code ?? "unknown");
  return new ApiError(error.message ?? `HTTP ${status}`, code, status);
}

async function checked(response) {
  if (response.ok) return response;
  throw errorFrom(response.status, await response.json().catch(() => null));
}

const json = (method, body, signal) => ({
  method,
  signal,
  headers: body === undefined ? {} : { "Content-Type": "application/json" },
  body: body === undefined ? undefined : JSON.stringify(body),
});

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return (await checked(await send(query ? `${path}?${query}` : path, {}))).json();
}

export async function post(path, body) {
  const response = await checked(await send(path, json("POST", body)));
  return response.status === 204 ? null : response.json();
}

export async function patch(path, body) {
  return (await checked(await send(path, json("PATCH", body)))).json();
}

export async function put(path, body) {
  await checked(await send(path, json("PUT", body)));
}

export async function remove(path) {
  await checked(await send(path, json("DELETE")));
}

/** Whether the server is "ready", "loading", "stopping" or "offline". */
export async function state() {
  try {
    return (await (await send("/readyz", {})).json()).status;
  } catch {
    return "offline";
  }
}

/** Follow turns; calls take(event) for each event, and alive() whenever the server says anything at all. */
export async function events(wanted, take, alive, signal) {
  const response = await checked(await send(`/api/events?follow=${wanted}`, { signal }));
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) if (block.startsWith("data: ")) take(JSON.parse(block.slice(6)));
  }
}

/** Get bytes, for example of a file. */
export async function bytes(path) {
  return (await checked(await send(path, {}))).arrayBuffer();
}

/** Send files and fields as a form, and return what comes of it. */
export async function form(path, fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null) body.append(name, value);
  return (await checked(await send(path, { method: "POST", body }))).json();
}

/** Send one file; resolves to the report of what became of it. XMLHttpRequest, because fetch tells no progress. */
export function upload(collection, file, name, onprogress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("collection", collection);
    form.append("files", file, name);
    const request = new XMLHttpRequest();
    request.open("POST", "/api/documents");
    request.responseType = "json";
    request.upload.onprogress = (event) => onprogress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError("", "offline", 0));
    request.onload = () =>
      request.status === 200 ? resolve(request.response) : reject(errorFrom(request.status, request.response));
    request.setRequestHeader(...Object.entries(csrf())[0]);
    request.send(form);
  });
}
