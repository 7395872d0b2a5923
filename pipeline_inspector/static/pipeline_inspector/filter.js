// The filter's small language: words and name:value pairs in the box, query parameters in the address.
"use strict";

(() => {
  const names = { status: "status", slower: "min_ms", method: "method", view: "view", layer: "layer", error: "exception", path: "path" };
  const box = document.getElementById("filter-text");
  const problem = document.getElementById("filter-problem");

  const milliseconds = (text) => {
    const found = /^(\d+(?:\.\d+)?)(ms|s|)$/.exec(text);
    return found ? String(Number(found[1]) * (found[2] === "s" ? 1000 : 1)) : null;
  };

  const readers = {
    slower: milliseconds,
    status: (text) => (/^([1-5](\d\d|xx)|running|finished|aborted)$/i.test(text) ? text.toLowerCase() : null),
    method: (text) => text.toUpperCase(),
  };

  /** The query parameters that `text` asks for, and the first thing in it that cannot be understood. */
  const parse = (text) => {
    const parameters = new URLSearchParams();
    const words = [];
    let wrong = "";
    for (const part of text.trim().split(/\s+/).filter(Boolean)) {
      const [, name, value] = /^([a-z]+):(.*)$/i.exec(part) ?? [null, null, null];
      if (!name || !(name.toLowerCase() in names)) words.push(part);
      else if (value) {
        const read = (readers[name.toLowerCase()] ?? ((word) => word))(value);
        if (read === null) wrong ||= part;
        else if (name.toLowerCase() === "path") words.push(read);
        else parameters.set(names[name.toLowerCase()], read);
      }
    }
    if (words.length) parameters.set("path", words.join(" "));
    return { parameters, wrong };
  };

  /** The text that says what `parameters` ask for. */
  const write = (parameters) => {
    const parts = parameters.get("path") ? [parameters.get("path")] : [];
    for (const [word, name] of Object.entries(names)) {
      const value = name !== "path" && parameters.get(name);
      if (value) parts.push(`${word}:${value}${name === "min_ms" ? "ms" : ""}`);
    }
    return parts.join(" ");
  };

  let asked = document.body.dataset.query ?? "";
  box.value = write(new URLSearchParams(asked));

  const ask = () => {
    const { parameters, wrong } = parse(box.value);
    problem.textContent = wrong ? `Cannot read ${wrong}` : "";
    box.setAttribute("aria-invalid", String(Boolean(wrong)));
    const query = parameters.toString();
    if (wrong || query === asked) return;
    asked = query;
    document.body.dataset.query = query;
    const base = document.body.dataset.base;
    const address = query ? `${base}?${query}` : base;
    const shown = new URLSearchParams(location.search);
    const tab = shown.has("tab") ? { tab: shown.get("tab") } : {};
    const here = new URLSearchParams({ ...tab, ...Object.fromEntries(parameters) }).toString();
    history.replaceState(history.state, "", here ? `${location.pathname}?${here}` : location.pathname);
    window.htmx.ajax("GET", address, { target: "#list", select: "#list", swap: "outerHTML" });
    document.dispatchEvent(new CustomEvent("inspector:filter", { detail: { query } }));
  };

  let waiting = 0;
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 250);
  });
  box.form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    ask();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (box.value) {
      box.value = "";
      ask();
    } else box.blur();
  });
})();
