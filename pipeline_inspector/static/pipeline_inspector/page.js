// What every page shares: rings and their cards, copying, the help, tabs by key.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- rings and cards ----------------------------------------------------------------------------------------------

  let pinned = null; // the layer that was chosen by click or focus, as text
  let shown = null;

  const ringsOf = (figure) => $$(".ring", figure);

  const show = (layer) => {
    const cards = $("#cards");
    if (!cards) return;
    const fallback = cards.dataset.chosen || "overview";
    const card = (layer !== null && $(`#card-${CSS.escape(layer)}`, cards)) || $(`#card-${fallback}`, cards);
    for (const other of $$(".card", cards)) other.hidden = other !== card;
    shown = layer;
    for (const ring of $$("#stage .ring")) {
      const lit = ring.dataset.layer === layer;
      ring.classList.toggle("lit", lit);
      ring.setAttribute("aria-pressed", String(ring.dataset.layer === pinned));
    }
    for (const item of $$("#chain li")) item.classList.toggle("lit", item.dataset.layer === layer);
    bringIntoView($("#chain li.lit"));
    for (const crossing of $$("#stage .crossing")) crossing.classList.toggle("lit", crossing.dataset.layer === layer);
    read(layer);
  };

  const bringIntoView = (item) => {
    const list = item?.parentElement;
    if (!list || list.scrollHeight <= list.clientHeight || list.matches(":hover")) return;
    const at = item.offsetTop - list.offsetTop;
    if (at < list.scrollTop) list.scrollTop = at - 4;
    else if (at + item.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = at + item.offsetHeight - list.clientHeight + 4;
  };

  const read = (layer) => {
    const readout = $("#stage .readout");
    if (!readout) return;
    const ring = layer === null ? null : $(`#ring-${CSS.escape(layer)}`);
    readout.replaceChildren();
    if (!ring) return;
    const name = document.createElement("b");
    name.textContent = ring.getAttribute("aria-label");
    readout.append(name);
    const { outcome } = ring.dataset;
    const parts = [];
    if (ring.dataset.in) parts.push(`in ${ring.dataset.in}`);
    if (ring.dataset.out) parts.push(`out ${ring.dataset.out} ms`);
    else if (ring.dataset.in) parts[0] += " ms";
    if (outcome !== "passed") parts.push(outcome.replace("_", " "));
    readout.append(` ${parts.join(" · ")}`);
  };

  const pin = (layer) => {
    pinned = layer;
    show(layer);
  };

  const rove = (ring) => {
    for (const other of ringsOf(ring.closest("figure"))) other.setAttribute("tabindex", other === ring ? "0" : "-1");
  };

  let record = null;
  const begin = () => {
    const open = $("#cards .card:not([hidden])");
    const cards = $("#cards");
    const before = record;
    record = $("#stage .stage")?.dataset.record ?? null;
    if (cards && open) cards.dataset.chosen = open.id.replace("card-", "");
    const hovered = before !== null && before === record ? shown : null;
    if (before !== null && before === record && pinned !== null) {
      const ring = $(`#ring-${CSS.escape(pinned)}`);
      if (ring) rove(ring);
      show(hovered);
      return;
    }
    pinned = null;
    shown = null;
    const telling = open?.dataset.layer;
    if (telling !== undefined) {
      const ring = $(`#ring-${CSS.escape(telling)}`);
      if (ring) rove(ring);
      pin(telling);
    }
    if (hovered !== null) show(hovered);
  };

  const inStage = (target) => target instanceof Element && target.closest("#stage");

  document.addEventListener("pointerover", (event) => {
    const spot = event.target instanceof Element && event.target.closest("#stage .ring, #chain li[data-layer]");
    if (spot) show(spot.dataset.layer);
    else if (shown !== pinned && !event.target.closest?.("#cards")) show(pinned);
  });

  document.addEventListener("focusin", (event) => {
    const ring = event.target instanceof Element && event.target.closest(".ring");
    if (ring && inStage(ring)) {
      rove(ring);
      pin(ring.dataset.layer);
    }
  });

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const ring = event.target.closest("#stage .ring");
    if (ring) {
      rove(ring);
      ring.focus({ preventScroll: true });
      pin(ring.dataset.layer);
      return;
    }
    const link = event.target.closest("a[data-ring]");
    if (link) {
      event.preventDefault();
      const found = $(`#ring-${CSS.escape(link.dataset.ring)}`);
      if (found && inStage(found)) {
        rove(found);
        pin(link.dataset.ring);
      } else if ($(`#card-${CSS.escape(link.dataset.ring)}`)) pin(link.dataset.ring);
      return;
    }
    if (event.target.closest("#stage .onion")) pin(null);
  });

  const walkRings = (event, ring) => {
    const rings = ringsOf(ring.closest("figure"));
    const at = rings.indexOf(ring);
    const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: rings.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      rings[Math.max(0, Math.min(rings.length - 1, steps[event.key]))].focus({ preventScroll: true });
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pin(ring.dataset.layer);
    } else if (event.key === "Escape") {
      ring.blur();
      pin(null);
    } else return false;
    return true;
  };

  // -- copying ------------------------------------------------------------------------------------------------------

  let fading = 0;
  const say = (message) => {
    const toast = $("#toast");
    if (!toast) return;
    toast.textContent = message;
    toast.classList.add("shown");
    clearTimeout(fading);
    fading = setTimeout(() => {
      toast.classList.remove("shown");
      toast.textContent = "";
    }, 1800);
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(text.length > 70 ? "Copied" : `Copied ${text}`);
  };

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-copy]");
    if (button) {
      copy(button.dataset.copy);
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 1800);
    }
    const open = event.target instanceof Element && event.target.closest("details.menu");
    for (const menu of $$("details.menu[open]")) if (menu !== open) menu.open = false;
  });

  // -- keys ---------------------------------------------------------------------------------------------------------

  const isTyping = (target) =>
    target instanceof Element && target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");
  const takesSpace = (target) => target instanceof Element && target.closest("button, summary, input, select, [role=button], [role=switch]");

  const tabLinks = () => $$('nav[aria-label="Request"] a');
  const openTab = (index) => {
    const link = tabLinks()[index];
    if (link) link.click();
  };
  const stepTab = (step) => {
    const links = tabLinks();
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    if (at >= 0) openTab((at + step + links.length) % links.length);
  };

  const keys = {
    "?": () => $("#help")?.showModal(),
    "/": () => $("#filter-text")?.focus(),
    "[": () => stepTab(-1),
    "]": () => stepTab(1),
    t: () => $("#theme")?.click(),
    f: () => $("#follow")?.click(),
    o: () => $('#stage .ring[tabindex="0"]')?.focus({ preventScroll: true }),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    const ring = event.target instanceof Element && event.target.closest("#stage .ring");
    if (ring && walkRings(event, ring)) return;
    if (event.key === " " && !takesSpace(event.target) && $("#pause")) {
      event.preventDefault();
      $("#pause").click();
    } else if (event.key === "Escape" && pinned !== null) {
      pin(null);
    } else if (/^[1-9]$/.test(event.key)) {
      openTab(Number(event.key) - 1);
    } else if (event.key in keys) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  // -- tabs that do not all fit: the chosen one is in sight, and where there are more is told ----------------------------

  let along = 0; // so far the tabs were scrolled, whichever request they are of
  const tellMore = (tabs) => {
    along = tabs.scrollLeft;
    tabs.classList.toggle("tabs-go-back", along > 1);
    tabs.classList.toggle("tabs-go-on", along + tabs.clientWidth < tabs.scrollWidth - 1);
  };
  const showTab = () => {
    const tabs = $("#stage .tabs");
    if (!tabs) return;
    const here = $("[aria-current]", tabs);
    const beside = 40;
    const most = here.offsetLeft - beside;
    const least = here.offsetLeft + here.offsetWidth + beside - tabs.clientWidth;
    tabs.scrollLeft = Math.min(Math.max(along, least), most);
    tellMore(tabs);
  };
  document.addEventListener("scroll", (event) => event.target.matches?.(".tabs") && tellMore(event.target), { capture: true });
  window.addEventListener("resize", showTab);
  document.addEventListener("click", (event) => {
    const more = event.target instanceof Element && event.target.closest(".tabs-more");
    if (more) more.parentElement.scrollLeft += Number(more.dataset.by) * 0.7 * more.parentElement.clientWidth;
  });

  // -- beginnings ---------------------------------------------------------------------------------------------------

  document.addEventListener("DOMContentLoaded", () => {
    begin();
    showTab();
    $("#help-open")?.addEventListener("click", () => $("#help").showModal());
    $("#help")?.addEventListener("click", (event) => {
      if (event.target.id === "help") event.target.close();
    });
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "stage") {
      begin();
      showTab();
    } else if (event.target.id === "chain") show(shown);
  });

  window.inspector = { say, isTyping };
})();
