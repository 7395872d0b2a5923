// The timeline under the hand: a row tells its times, dragging or keys zoom. And a ring named in the address is shown.
"use strict";

(() => {
  const NARROWEST = 1e-5; // of the whole request
  const LEAST = 0.25; // a bar is never thinner than this, in percent

  const waterfallOf = (target) => (target instanceof Element ? target.closest(".waterfall") : null);
  const windowOf = (fall) => {
    const [from, to] = (fall.dataset.window ?? "0 1").split(" ").map(Number);
    return { from, to };
  };

  const inMs = (ns) => {
    const ms = ns / 1e6;
    const size = Math.abs(ms);
    if (size < 0.0005) return "0";
    const sign = ms < 0 ? "−" : "";
    if (size < 0.0095) return sign + size.toFixed(3);
    if (size < 9.995) return sign + size.toFixed(2);
    return sign + (size < 99.95 ? size.toFixed(1) : String(Number(size.toPrecision(3))));
  };

  // -- telling ------------------------------------------------------------------------------------------------------

  const tell = (row) => {
    const fall = waterfallOf(row);
    const line = fall?.querySelector(".tell");
    if (!line) return;
    const { name, kind, at, took, busy, count, thread } = row.dataset;
    const title = document.createElement("b");
    title.textContent = count > 1 ? `${name} ×${count}` : name;
    const parts = [kind, `at ${inMs(Number(at))} ms`];
    if (busy === took) parts.push(`took ${inMs(Number(took))} ms`);
    else parts.push(`${inMs(Number(busy))} ms itself`, `${inMs(Number(took))} ms from end to end`);
    if (thread) parts.push(thread);
    line.replaceChildren(title, ` ${parts.join(" · ")}`);
    line.title = line.textContent;
  };

  const rowOf = (target) => (target instanceof Element ? target.closest(".waterfall-rows a") : null);
  document.addEventListener("pointerover", (event) => {
    const row = rowOf(event.target);
    if (row) tell(row);
  });
  document.addEventListener("focusin", (event) => {
    const row = rowOf(event.target);
    if (row) tell(row);
  });

  // -- zooming ------------------------------------------------------------------------------------------------------

  const place = (rect, from, span) => {
    const left = Number(rect.dataset.left) / 100;
    const width = Number(rect.dataset.width) / 100;
    const start = Math.max((left - from) / span, -0.05);
    const end = Math.min((left + width - from) / span, 1.05);
    const shown = end >= 0 && start <= 1;
    rect.setAttribute("x", `${(start * 100).toFixed(3)}%`);
    rect.setAttribute("width", shown ? `${Math.max((end - start) * 100, LEAST).toFixed(3)}%` : "0");
  };

  const niceStep = (length, most) => {
    let step = 1;
    while (length / step > most - 1) step *= /^[15]/.test(String(step)) ? 2 : 2.5;
    return step;
  };

  const lineAt = (svg, x, y2) => {
    const line = document.createElementNS(svg.namespaceURI, "line");
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 0, y2 })) line.setAttribute(name, value);
    return line;
  };

  const drawTicks = (fall, from, to) => {
    const svg = fall.querySelector(".ticks");
    const guides = fall.querySelector(".guides svg");
    const begin = Number(fall.dataset.start) + from * Number(fall.dataset.length);
    const length = (to - from) * Number(fall.dataset.length);
    const step = niceStep(length, Math.max(2, Math.min(8, Math.floor(svg.clientWidth / 70))));
    const marks = [];
    const lines = [];
    for (let at = Math.ceil(begin / step) * step; at <= begin + length; at += step) {
      const tick = document.createElementNS(svg.namespaceURI, "g");
      tick.setAttribute("class", "tick");
      const x = `${(((at - begin) / length) * 100).toFixed(3)}%`;
      lines.push(lineAt(guides, x, "100%"));
      const text = document.createElementNS(svg.namespaceURI, "text");
      for (const [name, value] of Object.entries({ x, dx: 4, y: 13 })) text.setAttribute(name, value);
      const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step / 1e6))));
      text.textContent = (at / 1e6).toFixed(digits);
      tick.append(lineAt(svg, x, 20), text);
      marks.push(tick);
    }
    svg.replaceChildren(...marks);
    guides.replaceChildren(...lines);
  };

  const zoomTo = (fall, from, to) => {
    const span = Math.min(1, Math.max(NARROWEST, to - from));
    const start = Math.min(Math.max(0, from), 1 - span);
    fall.dataset.window = `${start} ${start + span}`;
    for (const rect of fall.querySelectorAll(".track rect")) place(rect, start, span);
    drawTicks(fall, start, start + span);
    fall.querySelector('[data-zoom="whole"]').disabled = span >= 1;
  };

  const zoomBy = (fall, factor, around) => {
    const { from, to } = windowOf(fall);
    const middle = around ?? (from + to) / 2;
    const span = Math.min(1, (to - from) * factor);
    zoomTo(fall, middle - span / 2, middle + span / 2);
  };

  /** Zoom so that what lies at `at` (a part of the whole request) stays where it is on the screen. */
  const zoomAt = (fall, factor, at) => {
    const { from, to } = windowOf(fall);
    const span = Math.min(1, Math.max(NARROWEST, (to - from) * factor));
    const start = at - ((at - from) / (to - from)) * span;
    zoomTo(fall, start, start + span);
  };

  const shift = (fall, part) => {
    const { from, to } = windowOf(fall);
    const by = (to - from) * part;
    const room = Math.max(-from, Math.min(1 - to, by));
    zoomTo(fall, from + room, to + room);
  };

  const middleOf = (row) => {
    const extent = row.querySelector(".extent");
    return (Number(extent.dataset.left) + Number(extent.dataset.width) / 2) / 100;
  };

  const moves = {
    in: (fall, around) => zoomBy(fall, 0.5, around),
    out: (fall, around) => zoomBy(fall, 2, around),
    left: (fall) => shift(fall, -0.25),
    right: (fall) => shift(fall, 0.25),
    whole: (fall) => zoomTo(fall, 0, 1),
  };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "whole" };

  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element ? event.target.closest("[data-zoom], [data-row]") : null;
    if (pressed?.dataset.zoom) moves[pressed.dataset.zoom](waterfallOf(pressed));
    if (!pressed?.dataset.row) return;
    event.preventDefault();
    document.getElementById(pressed.dataset.row)?.focus();
  });

  document.addEventListener("keydown", (event) => {
    const row = rowOf(event.target);
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const rows = [...waterfallOf(row).querySelectorAll(".waterfall-rows a")];
      rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(row) + step))].focus();
    } else if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      moves[event.key === "ArrowLeft" ? "left" : "right"](waterfallOf(row));
    } else if (event.key in keys) {
      moves[keys[event.key]](waterfallOf(row), middleOf(row));
    } else return;
    event.preventDefault();
  });

  // -- dragging -----------------------------------------------------------------------------------------------------

  let drag = null;

  const fractionAt = (fall, x) => {
    const box = fall.querySelector(".ticks").getBoundingClientRect();
    return Math.min(1, Math.max(0, (x - box.left) / box.width));
  };

  const drawBand = () => {
    const rows = drag.fall.querySelector(".waterfall-body");
    const box = drag.fall.querySelector(".ticks").getBoundingClientRect();
    const offset = box.left - rows.getBoundingClientRect().left;
    const [from, to] = [Math.min(drag.start, drag.now), Math.max(drag.start, drag.now)];
    drag.band.style.left = `${offset + from * box.width}px`;
    drag.band.style.width = `${(to - from) * box.width}px`;
  };

  document.addEventListener("pointerdown", (event) => {
    const track = event.target instanceof Element ? event.target.closest(".waterfall .track") : null;
    if (!track || event.button !== 0 || event.pointerType === "touch") return;
    const fall = waterfallOf(track);
    const start = fractionAt(fall, event.clientX);
    drag = { fall, start, now: start, band: null };
  });

  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.now = fractionAt(drag.fall, event.clientX);
    if (!drag.band && Math.abs(drag.now - drag.start) < 0.01) return;
    if (!drag.band) {
      drag.band = document.createElement("div");
      drag.band.className = "zoom-band";
      drag.fall.querySelector(".waterfall-body").append(drag.band);
    }
    drawBand();
  });

  const stop = (event) => {
    if (!drag) return;
    const { fall, start, now, band } = drag;
    drag = null;
    if (!band) return;
    band.remove();
    if (event.type !== "pointerup") return;
    const { from, to } = windowOf(fall);
    const at = (part) => from + part * (to - from);
    zoomTo(fall, at(Math.min(start, now)), at(Math.max(start, now)));
    swallowClick();
  };

  // The end of a drag over a link is also a click on it: not meant here.
  const swallowClick = () => {
    const swallow = (event) => {
      event.preventDefault();
      event.stopPropagation();
    };
    document.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => document.removeEventListener("click", swallow, { capture: true }), 0);
  };

  // -- wheel and fingers: only over the bars, so that everywhere else they enlarge the page as always ------------------

  const barsUnder = (target) => (target instanceof Element ? target.closest(".waterfall .track, .waterfall .ticks") : null);
  const placeAt = (fall, x) => {
    const { from, to } = windowOf(fall);
    return from + fractionAt(fall, x) * (to - from);
  };

  document.addEventListener(
    "wheel",
    (event) => {
      const fall = waterfallOf(barsUnder(event.target));
      if (!fall) return;
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) && fall.dataset.window && !event.ctrlKey;
      if (event.ctrlKey || event.metaKey) zoomAt(fall, Math.exp(event.deltaY / 150), placeAt(fall, event.clientX));
      else if (sideways) shift(fall, event.deltaX / 800);
      else return;
      event.preventDefault();
    },
    { passive: false },
  );

  const fingers = new Map(); // those on the bars: where each is, and which place of the request it holds
  const spread = () => {
    const [one, other] = [...fingers.values()].sort((a, b) => a.x - b.x);
    const fall = one.fall;
    const [left, right] = [fractionAt(fall, one.x), fractionAt(fall, other.x)];
    if (right - left < 0.02) return;
    const span = Math.min(1, Math.abs(other.at - one.at) / (right - left));
    const start = Math.min(one.at, other.at) - left * span;
    zoomTo(fall, start, start + span);
  };

  document.addEventListener("pointerdown", (event) => {
    const fall = event.pointerType === "touch" ? waterfallOf(barsUnder(event.target)) : null;
    if (!fall) return;
    fingers.set(event.pointerId, { fall, x: event.clientX, at: 0 });
    for (const finger of fingers.values()) finger.at = placeAt(fall, finger.x);
  });
  document.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    finger.x = event.clientX;
    if (fingers.size === 2) spread();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, (event) => {
      if (fingers.size === 2 && fingers.has(event.pointerId)) swallowClick();
      fingers.delete(event.pointerId);
    });
  }

  document.addEventListener("pointerup", stop);
  document.addEventListener("pointercancel", stop);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drag) stop(event);
  });
  document.addEventListener("dragstart", (event) => {
    if (rowOf(event.target)) event.preventDefault();
  });

  // -- what the address names ---------------------------------------------------------------------------------------

  const showNamed = () => {
    if (!/^#ring-\d+$/.test(location.hash)) return;
    document.querySelector(`#stage ${location.hash}`)?.focus({ preventScroll: true });
  };
  document.addEventListener("DOMContentLoaded", showNamed);
  window.addEventListener("hashchange", showNamed);

  // -- the pipeline page follows its switches -----------------------------------------------------------------------

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "chain" || !document.querySelector("#pipeline")) return;
    const address = `${document.body.dataset.base}pipeline/`;
    htmx.ajax("GET", address, { target: "#pipeline", select: "#pipeline", swap: "outerHTML" });
  });
})();
