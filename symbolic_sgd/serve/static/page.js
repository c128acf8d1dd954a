"use strict";
// The page: fields in, answers out. What is shown as HTML is written by the server, every text in it escaped.

const byId = (id) => document.getElementById(id);
const PLAIN = ["statement", "formula", "parameters", "constants", "noise", "optimizer", "further"];
const PAUSE = 600;
const known = new Set(document.body.dataset.known.split(" "));
let guessed = "";
let asking = null;
let showing = null;
let waiting = 0;

// --- fields ---------------------------------------------------------------------------------------

const inputsOf = (table) => document.querySelectorAll(`[data-table="${table}"]`);
const chosen = (table) => (table === "noise_values" ? byId("noise").value : byId("optimizer").value);

function fields() {
  const found = Object.fromEntries(PLAIN.map((name) => [name, byId(name).value]));
  for (const table of ["noise_values", "optimizer_values"]) {
    found[table] = {};
    for (const input of inputsOf(table)) {
      if (input.dataset.kind === chosen(table) && input.value.trim()) found[table][input.dataset.key] = input.value;
    }
  }
  return found;
}

function fill(written) {
  for (const name of PLAIN) {
    const value = written[name];
    if (typeof value === "string") byId(name).value = value;
    else if (byId(name).tagName === "SELECT") byId(name).selectedIndex = 0;
    else byId(name).value = "";
  }
  for (const table of ["noise_values", "optimizer_values"]) {
    const values = written[table] || {};
    for (const input of inputsOf(table)) {
      const value = input.dataset.kind === chosen(table) ? values[input.dataset.key] : "";
      input.value = typeof value === "string" ? value : "";
    }
  }
  guessed = byId("parameters").value;
  byId("further").closest("details").open = byId("further").value.trim() !== "";
  arrange();
}

// What belongs to another kind is not shown.
function arrange() {
  for (const group of document.querySelectorAll("[data-group]")) {
    const [table, kind] = group.dataset.group.split(" ");
    group.hidden = kind !== chosen(table);
  }
  const statement = byId("statement");
  byId("noise-set").hidden = statement.selectedOptions[0].dataset.noise === "own";
  byId("formula-label").textContent = statement.selectedOptions[0].dataset.label;
}

// The names in the formula that are no functions, numbers or constants, in their order.
function guess() {
  if (byId("parameters").value !== guessed) return;
  const constants = byId("constants").value.split(",").map((entry) => entry.trim().split(/\s+/)[0]);
  const words = byId("formula").value.match(/(?<![\w.])[A-Za-z]\w*/g) || [];
  guessed = [...new Set(words)].filter((word) => !known.has(word) && !constants.includes(word)).join(", ");
  byId("parameters").value = guessed;
}

// --- questions ------------------------------------------------------------------------------------

async function ask(task, signal) {
  const body = JSON.stringify(fields());
  try {
    const answer = await fetch(`api/${task}`, { method: "POST", headers: { "Content-Type": "application/json" }, body, signal });
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") return null;
    return { refusal: "The server does not answer. Is `symbolic-sgd serve` still running?" };
  }
}

function show(place, answer) {
  place.removeAttribute("aria-busy");
  if (answer.html !== undefined) {
    place.innerHTML = answer.html;
  } else if (answer.refusal !== undefined) {
    const words = document.createElement("p");
    words.className = "refusal";
    words.textContent = answer.refusal;
    place.replaceChildren(words);
  } else {
    place.replaceChildren(...copied(answer.text));
  }
}

function copied(text) {
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text;
  const row = document.createElement("div");
  row.className = "copy";
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(text, said));
  row.append(said, button);
  return [row, pre];
}

async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "copied";
  } catch {
    said.textContent = "the browser does not allow it: select and copy";
  }
}

async function derive() {
  clearTimeout(waiting);
  remember();
  forgetOutput();
  if (asking) asking.abort();
  const mine = (asking = new AbortController());
  if (!byId("formula").value.trim()) {
    byId("status").textContent = "Write a formula, or choose an example.";
    byId("answer").replaceChildren();
    return;
  }
  byId("answer").setAttribute("aria-busy", "true");
  byId("status").textContent = "Deriving …";
  const answer = await ask("derive", mine.signal);
  if (answer === null || mine !== asking) return;
  byId("status").textContent = answer.refusal === undefined ? "" : "Not derived:";
  show(byId("answer"), answer);
}

function forgetOutput() {
  if (showing) showing.abort();
  showing = null;
  byId("output").replaceChildren();
  byId("output").removeAttribute("aria-busy");
  byId("output-status").textContent = "";
  for (const button of document.querySelectorAll("[data-task]")) button.removeAttribute("aria-pressed");
}

async function output(button) {
  forgetOutput();
  const mine = (showing = new AbortController());
  button.setAttribute("aria-pressed", "true");
  byId("output").setAttribute("aria-busy", "true");
  byId("output-status").textContent = button.dataset.task === "check" ? "Checking …" : "Writing …";
  const answer = await ask(button.dataset.task, mine.signal);
  if (answer === null || mine !== showing) return;
  byId("output-status").textContent = "";
  show(byId("output"), answer);
}

// --- the link -------------------------------------------------------------------------------------

function remember() {
  const written = Object.fromEntries(
    Object.entries(fields()).filter(([, value]) => (typeof value === "string" ? value.trim() : Object.keys(value).length)),
  );
  history.replaceState(null, "", "#" + encodeURIComponent(JSON.stringify(written)));
}

function remembered() {
  try {
    const written = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    return written !== null && typeof written === "object" ? written : null;
  } catch {
    return null;
  }
}

// --- beginning ------------------------------------------------------------------------------------

function changed(event) {
  if (event.target.id === "statement" && byId("statement").value !== "residuals" && byId("noise").value === "label") {
    byId("noise").value = "isotropic";
  }
  if (event.target.id === "formula" || event.target.id === "constants") guess();
  if (event.target.id === "parameters" && !event.target.value.trim()) guessed = event.target.value;
  arrange();
  for (const other of document.querySelectorAll("#examples [aria-current]")) other.removeAttribute("aria-current");
  clearTimeout(waiting);
  waiting = setTimeout(derive, PAUSE);
}

async function begin() {
  const examples = await (await fetch("examples.json")).json();
  for (const button of document.querySelectorAll("#examples button")) {
    button.addEventListener("click", () => {
      fill(examples[button.value]);
      for (const other of document.querySelectorAll("#examples [aria-current]")) other.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      derive();
    });
  }
  const form = byId("problem");
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    derive();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) derive();
  });
  byId("link").addEventListener("click", () => {
    remember();
    copy(location.href, byId("linked"));
  });
  for (const button of document.querySelectorAll("[data-task]")) button.addEventListener("click", () => output(button));
  addEventListener("hashchange", () => {
    const written = remembered();
    if (written) {
      fill(written);
      derive();
    }
  });
  const first = document.querySelector("#examples [data-first]");
  fill(remembered() || (first ? examples[first.value] : {}));
  if (!remembered() && first) first.setAttribute("aria-current", "true");
  derive();
}

if (document.body.dataset.mode === "live") begin();
