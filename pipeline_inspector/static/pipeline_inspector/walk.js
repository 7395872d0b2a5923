// The list under the hand: walking it by key, keeping the tab, marking the chosen request. Nothing here moves the focus
// unless a key asked for it.
"use strict";

(() => {
  const list = () => document.getElementById("requests");
  const links = () => [...list().querySelectorAll("li > a")];
  const stage = () => document.querySelector("#stage .stage");
  const chosen = () => stage()?.dataset.record ?? null;

  const mark = () => {
    const id = chosen();
    for (const link of links()) {
      const here = link.parentElement.id === `r-${id}`;
      if (here !== link.hasAttribute("aria-current")) {
        if (here) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
    document.getElementById("desk")?.classList.toggle("has-choice", id !== null);
  };

  // -- keys ---------------------------------------------------------------------------------------------------------

  let opening = 0;
  const go = (link) => {
    if (!link) return;
    link.focus();
    clearTimeout(opening);
    opening = setTimeout(() => link.isConnected && link.click(), 90);
  };

  const step = (by) => {
    const all = links();
    const focused = all.indexOf(document.activeElement);
    const at = focused >= 0 ? focused : all.findIndex((link) => link.hasAttribute("aria-current"));
    if (at < 0) go(all[0]);
    else go(all[Math.max(0, Math.min(all.length - 1, at + by))]);
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || window.inspector.isTyping(event.target)) return;
    const inList = event.target instanceof Element && (event.target.closest("#list") || event.target === document.body);
    const steps = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1, Home: -1e6, End: 1e6 } : {}) };
    if (event.key in steps) {
      event.preventDefault();
      step(steps[event.key]);
    }
  });

  // -- the chosen request -------------------------------------------------------------------------------------------

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, parameters } = event.detail;
    if (!elt.closest("#requests, #stage nav")) return;
    const tab = stage()?.dataset.tab;
    if (tab && tab !== "onion" && elt.closest("#requests")) parameters.tab = tab;
    for (const [name, value] of new URLSearchParams(document.body.dataset.query ?? "")) parameters[name] = value;
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "stage") return;
    mark();
    document.title = `${stage()?.getAttribute("aria-label") ?? "Requests"} · Pipeline Inspector`;
    const asked = event.detail.requestConfig?.elt; // the stage itself, where a running request is drawn again
    if (matchMedia("(max-width: 760px)").matches && asked && asked !== event.target) {
      stage()?.scrollIntoView({ block: "start" });
    }
  });

  const timeless = (html) => html.replace(/( data-since="[^"]*">)[^<]*/g, "$1");
  let drawn = ""; // what stands on the stage, without the time of a running request

  const idOf = (address) => decodeURIComponent(/\/requests\/([^/?]+)\//.exec(address)?.[1] ?? "");
  const isInHand = (id) => document.getElementById(`r-${id}`)?.dataset.state === "running";
  const PATIENCE = 10; // so often a request that was in hand a moment ago may be neither in hand nor kept

  let lost = null; // the request that was asked for last, if it was in hand, and then neither in hand nor kept
  let vain = 0; // so often in a row
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, requestConfig } = event.detail;
    if (target.id !== "stage") return;
    const id = idOf(requestConfig.path);
    const gone = xhr.status === 404;
    const wasInHand = isInHand(id) || (stage()?.dataset.state === "running" && id === chosen());
    vain = !gone ? 0 : id === lost ? vain + 1 : 1;
    lost = gone && (wasInHand || id === lost) ? id : null;
    if (gone) event.detail.shouldSwap = lost === null || vain > PATIENCE;
    const coming = timeless(event.detail.serverResponse);
    if (coming === drawn && stage()?.dataset.state === "running") event.detail.shouldSwap = false;
    if (event.detail.shouldSwap) drawn = coming;
    lend(requestConfig.elt);
  });

  /** htmx looks for the chain, which comes along, in the tree of what was clicked: a row may have left the list since. */
  const lend = (row) => {
    const tree = row.getRootNode();
    if (tree === document) return;
    const attic = document.createElement("ol");
    attic.hidden = true;
    attic.append(tree);
    document.body.append(attic);
    queueMicrotask(() => attic.remove());
  };

  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.target?.id !== "stage" || event.detail.xhr.status !== 404) window.inspector.say("The inspector refused this.");
  });
  document.addEventListener("htmx:sendError", () => window.inspector.say("The server does not answer."));

  document.addEventListener("DOMContentLoaded", () => {
    mark();
    new MutationObserver(mark).observe(document.querySelector("#desk > .list"), { childList: true, subtree: true });
  });

  // -- a request in hand on the stage: drawn again as it goes on, until it is over ---------------------------------------

  const isPaused = () => document.getElementById("connection")?.dataset.state === "paused";
  const inHand = () => (stage()?.dataset.state === "running" ? chosen() : null);
  const draw = async () => {
    const isHopedFor = lost !== null && (vain <= PATIENCE || isInHand(lost));
    const id = isHopedFor ? lost : inHand();
    if (id !== null && !isPaused() && !document.hidden) {
      const address = `${document.body.dataset.base}requests/${encodeURIComponent(id)}/`;
      const push = id === chosen() ? null : "true";
      await window.htmx.ajax("GET", address, { target: "#stage", source: "#stage", push }).catch(() => {});
    }
    setTimeout(draw, 250);
  };
  draw();

  // -- requests in hand: their time runs on ---------------------------------------------------------------------------

  setInterval(() => {
    for (const spot of document.querySelectorAll("[data-since]")) {
      const ms = Date.now() - Date.parse(spot.dataset.since);
      if (ms >= 0 && ms < 3_600_000) spot.textContent = `${Number(ms.toPrecision(3))} ms`;
    }
  }, 200);
})();
