// Keeps the list up to date: by socket, event stream or asking now and then, whichever the server can do. New rows come in
// on top; the selection, the focus and the place where one reads never move by themselves.
"use strict";

(() => {
  const { base, live: offered } = document.body.dataset;
  const names = { ws: "WebSocket", sse: "event stream", poll: "polling" };
  const ROWS = 200;
  const OLDER = 100; // so many older rows are loaded at once
  const TRIES = 3; // so many failures before the first success: this way is closed, ask now and then instead
  const SILENCE = 8000; // a connection that says nothing for so long is dead

  let transport = offered;
  let upto = Number(document.body.dataset.seq) || 0;
  let query = document.body.dataset.query ?? "";
  let paused = false;
  let round = 1; // rises with each change of filter or pause; updates of an earlier round are passed over
  let told = 0; // the round that the socket's updates are of
  let held = false; // the list is being fetched anew
  let back = false; // older rows stand on the page: it is paused, and the newest are fetched when it goes on
  let connected = false;
  let heard = Date.now();
  let everOpen = false; // has the offered way ever worked?
  let arrived = []; // [moment, rows] of the last seconds

  const $ = (id) => document.getElementById(id);
  const list = () => $("requests");

  // -- what is said -------------------------------------------------------------------------------------------------

  const tell = () => {
    const state = !connected ? "reconnecting" : paused ? "paused" : "live";
    const spot = $("connection");
    if (spot.dataset.state !== state || spot.textContent !== state) {
      spot.dataset.state = state;
      spot.textContent = state;
    }
    spot.dataset.transport = names[transport];
    spot.title = `${state} (${names[transport]})`;
    transportName.textContent = names[transport];
  };

  const transportName = document.createElement("span");
  transportName.id = "transport";
  $("rate").before(transportName, " ");

  const setConnected = (now) => {
    connected = now;
    heard = Date.now();
    tell();
  };

  const setWaiting = (count) => {
    const button = $("pause");
    button.textContent = !paused ? "Pause" : count > 0 ? `Resume · ${count} new` : "Resume";
    button.setAttribute("aria-pressed", String(paused));
  };

  let leftOut = 0;
  const setLeftOut = (count) => {
    leftOut = count;
    let note = $("left-out");
    if (!note) {
      note = document.createElement("p");
      note.id = "left-out";
      note.className = "quiet left-out";
      list().after(note);
    }
    note.hidden = count === 0;
    note.textContent = count ? `${count.toLocaleString("en")} more came too fast to be listed. Filter to see them.` : "";
  };

  setInterval(() => {
    const since = Date.now() - 5000;
    arrived = arrived.filter(([moment]) => moment > since);
    const rate = arrived.reduce((sum, [, rows]) => sum + rows, 0) / 5;
    $("rate").textContent = rate ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} req/s` : "";
  }, 1000);

  // -- rows -----------------------------------------------------------------------------------------------------------

  let owed = 0; // a list is scrolled by whole pixels: so far it stands too low, which the next time makes good

  /** Do `work` on the list; what one reads stays where it is on the screen, and the focus where it was. */
  const undisturbed = (work) => {
    const scroller = $("list");
    scroller.style.overflowAnchor = "none";
    const topOf = (row) => row.getBoundingClientRect().top;
    const top = topOf(scroller);
    const anchor = scroller.scrollTop > 0 && [...list().children].find((row) => row.getBoundingClientRect().bottom > top);
    const place = anchor && topOf(anchor) - owed;
    const focused = list().contains(document.activeElement) ? document.activeElement.closest("li")?.id : null;
    work();
    if (focused && !list().contains(document.activeElement)) $(focused)?.querySelector("a")?.focus({ preventScroll: true });
    const stays = anchor && anchor.isConnected;
    if (stays) scroller.scrollTop += topOf(anchor) - place;
    owed = stays && Math.abs(topOf(anchor) - place) < 1 ? topOf(anchor) - place : 0;
  };

  const put = (row) => {
    const known = $(row.id);
    if (known && known.dataset.state !== "running" && row.dataset.state === "running") return;
    if (known && known.dataset.state === "running" && row.dataset.state === "running") known.replaceWith(row);
    else {
      known?.remove();
      const over = row.dataset.state === "running" ? list().firstChild : list().querySelector("li:not([data-state=running])");
      list().insertBefore(row, over);
    }
    window.htmx.process(row);
  };

  const cut = () => {
    const focused = document.activeElement;
    for (let row = list().lastElementChild; row && list().childElementCount > ROWS; ) {
      const before = row.previousElementSibling;
      if (!row.contains(focused)) {
        row.remove();
        $("older").hidden = false;
      }
      row = before;
    }
  };

  /** Rows before `first` are not kept any more. */
  const forget = (first) => {
    for (const row of [...list().children]) if (row.dataset.state !== "running" && Number(row.dataset.seq) < first) row.remove();
    if (!list().querySelector("li:not([data-state=running])")) setLeftOut(0);
  };

  const receive = (html) => {
    heard = Date.now();
    const news = new DOMParser().parseFromString(html, "text/html").getElementById("news");
    if (news?.dataset.round !== undefined) told = Number(news.dataset.round);
    if (news?.dataset.upto === undefined || held || (transport === "ws" && told !== round)) return;
    if (news.dataset.waiting !== undefined) setWaiting(Number(news.dataset.waiting));
    if (news.dataset.from !== undefined) undisturbed(() => forget(Number(news.dataset.from)));
    upto = Number(news.dataset.upto);
    if (news.dataset.running === undefined) return;
    const rows = [...news.children].reverse();
    const running = new Set(news.dataset.running.split(" ").map((id) => `r-${id}`));
    const finished = rows.filter((row) => row.dataset.state !== "running").length;
    undisturbed(() => {
      rows.forEach(put);
      for (const row of list().querySelectorAll("li[data-state=running]")) if (!running.has(row.id)) row.remove();
      cut();
    });
    const more = Number(news.dataset.more) || 0;
    if (more) setLeftOut(leftOut + more);
    arrived.push([Date.now(), finished + more]);
  };

  // -- older rows -----------------------------------------------------------------------------------------------------

  /** Add rows older than the last one. The page pauses first: newer ones would push out what they are added to. */
  const loadOlder = async (button) => {
    const last = [...list().children].findLast((row) => row.dataset.state !== "running");
    if (!last || held) return;
    const asked = new URLSearchParams(query);
    asked.set("before", last.dataset.seq);
    asked.set("limit", String(OLDER));
    const wasPaused = paused;
    if (!paused) setPaused(true);
    button.disabled = true;
    let added = false;
    try {
      const response = await fetch(`${base}rows/?${asked}`);
      if (!response.ok) throw new Error(response.statusText);
      const rows = new DOMParser().parseFromString(`<ol>${await response.text()}</ol>`, "text/html").querySelectorAll("li");
      added = last.isConnected && !held;
      if (!added) return;
      undisturbed(() => {
        last.after(...rows);
        rows.forEach((row) => window.htmx.process(row));
        while (list().childElementCount > ROWS) list().firstElementChild.remove();
      });
      button.hidden = rows.length < OLDER;
      back = true;
    } catch {
      window.inspector.say("The server does not answer.");
    } finally {
      button.disabled = false;
      if (!added && !wasPaused && paused) setPaused(false);
    }
  };

  const loadNewest = () => {
    held = true;
    back = false;
    window.htmx.ajax("GET", query ? `${base}?${query}` : base, { target: "#list", select: "#list", swap: "outerHTML" });
  };

  // -- ways -----------------------------------------------------------------------------------------------------------

  const delay = (tries) => Math.min(200 * 2 ** tries, 5000) * (0.75 + Math.random() / 2);
  const asked = () => {
    const parameters = new URLSearchParams(query);
    parameters.set("after", String(upto));
    if (paused) parameters.set("paused", "1");
    return parameters.toString();
  };

  const link = (attributes) => {
    $("live-link")?.remove();
    const element = document.createElement("div");
    element.id = "live-link";
    element.hidden = true;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    document.body.append(element);
    return element;
  };

  const unpacked = (blob) => new Response(blob.stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();

  const socket = () => {
    let wrapper = null;
    let plain = null;
    let ended = false;
    let tries = 0;
    const byItself = [1006, 1011, 1012, 1013]; // the extension tries again after these
    const element = link({ "hx-ext": "ws", "ws-connect": `${base}live/` });
    const say = (words) => wrapper?.sendImmediately(JSON.stringify(words));
    const filter = () => Object.fromEntries(new URLSearchParams(query));
    const again = () => say({ after: upto, filter: filter(), paused, round, packed: Boolean(window.DecompressionStream), shown: upto });
    window.htmx.config.wsReconnectDelay = (count) => delay(count);
    window.htmx.createWebSocket = (address) => {
      plain = new WebSocket(address);
      plain.binaryType = "blob";
      return plain;
    };
    element.addEventListener("htmx:wsOpen", (event) => {
      wrapper = event.detail.socketWrapper;
      everOpen = true;
      tries = 0;
      told = 0;
      again();
      setConnected(true);
    });
    element.addEventListener("htmx:wsClose", (event) => {
      if (ended) return;
      setConnected(false);
      tries += 1;
      if (!everOpen && tries >= TRIES) use("poll");
      else if (!byItself.includes(event.detail.event.code) && wrapper) setTimeout(() => wrapper.reconnect(), delay(tries));
    });
    let order = Promise.resolve(); // updates are drawn as they came, though unpacking takes a moment
    const take = async (message, from) => {
      const html = typeof message === "string" ? message : await unpacked(message);
      await window.inspector.released();
      if (ended || from !== plain) return;
      receive(html);
      if (connected) say({ shown: upto });
    };
    element.addEventListener("htmx:wsBeforeMessage", (event) => {
      event.preventDefault();
      heard = Date.now();
      const from = plain;
      order = order.then(() => take(event.detail.message, from)).catch((error) => {
        window.reportError(error);
        from.close(); // and from a new connection all comes again that was not shown
      });
    });
    window.htmx.process(element);
    const watch = setInterval(() => {
      if (connected && Date.now() - heard > SILENCE) use("ws");
    }, 1000);
    const end = () => {
      ended = true;
      clearInterval(watch);
      plain?.close();
    };
    return { again, end };
  };

  const stream = () => {
    let source = null;
    let tries = 0;
    let late = 0;
    let next = 0;
    const create = (address) => {
      source = new EventSource(address);
      source.addEventListener("poll", () => use("poll"));
      source.addEventListener("still", () => (heard = Date.now()));
      return source;
    };
    const open = () => {
      clearTimeout(next);
      source?.close();
      window.htmx.createEventSource = create;
      const element = link({ "hx-ext": "sse", "sse-connect": `${base}events/?${asked()}`, "sse-swap": "message" });
      element.addEventListener("htmx:sseOpen", () => {
        everOpen = true;
        tries = 0;
        clearTimeout(late);
        late = 0;
        setConnected(true);
      });
      element.addEventListener("htmx:sseError", () => {
        tries += 1;
        element.setAttribute("sse-connect", `${base}events/?${asked()}`);
        late ||= setTimeout(() => setConnected(false), 1000); // a stream that only came to its end is back by then
        if (!everOpen && tries >= TRIES) use("poll");
        else if (tries > 1) {
          element.remove(); // with it the extension's and the browser's own trying, which never slows down
          clearTimeout(next);
          next = setTimeout(open, delay(tries));
        }
      });
      element.addEventListener("htmx:sseBeforeMessage", async (event) => {
        event.preventDefault();
        const from = source;
        await window.inspector.released();
        if (from === source) receive(event.detail.data);
      });
      window.htmx.process(element);
    };
    open();
    const watch = setInterval(() => {
      if (connected && Date.now() - heard > SILENCE) use("sse");
    }, 1000);
    const end = () => {
      source?.close();
      source = null;
      clearInterval(watch);
      clearTimeout(next);
      clearTimeout(late);
    };
    return { again: open, end };
  };

  const poll = () => {
    let ended = false;
    let tries = 0;
    let next = 0;
    const ask = async () => {
      const mine = round;
      try {
        const response = await fetch(`${base}rows/?${asked()}`, { signal: AbortSignal.timeout(15000) });
        if (!response.ok) throw new Error(response.statusText);
        const html = await response.text();
        await window.inspector.released();
        if (ended) return;
        if (mine === round) receive(html);
        if (tries && offered !== "poll") return use(offered);
        setConnected(true);
      } catch {
        if (ended) return;
        tries += 1;
        setConnected(false);
      }
      next = setTimeout(ask, tries ? delay(tries) : document.hidden ? 5000 : 1000);
    };
    ask();
    return { again: () => {}, end: () => { ended = true; clearTimeout(next); } };
  };

  let way = null;
  const use = (name) => {
    way?.end();
    $("live-link")?.remove();
    transport = name;
    connected = false;
    tell();
    way = { ws: socket, sse: stream, poll }[name]();
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && transport === "poll" && offered === "sse" && everOpen) use("sse"); // a page not seen has it
  });

  const changed = () => {
    round += 1;
    way.again();
  };

  // -- the hand -------------------------------------------------------------------------------------------------------

  const setPaused = (now) => {
    paused = now;
    setWaiting(0);
    tell();
    if (back && !paused) loadNewest();
    else changed();
  };

  $("pause").addEventListener("click", () => setPaused(!paused));

  document.addEventListener("click", (event) => {
    if (event.target.id === "older") loadOlder(event.target);
  });

  document.addEventListener("inspector:filter", (event) => {
    query = event.detail.query;
    held = true;
    back = false;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const seq = event.detail.xhr?.getResponseHeader("X-Inspector-Seq");
    if (!seq || !held) return;
    held = false;
    upto = Number(seq);
    setLeftOut(0);
    changed();
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.target?.id === "list" && !event.detail.successful) held = false;
    if (event.detail.elt?.id !== "clear" || !event.detail.successful) return;
    list().replaceChildren();
    $("older").hidden = true;
    setLeftOut(0);
    setWaiting(0);
    changed();
  });

  use(offered);
})();
