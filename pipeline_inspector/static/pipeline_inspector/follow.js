// Follow: the newest finished request of the list is shown as it comes, for who asked for it, until they choose one
// themselves. The focus stays where it is, the tab too, and the history gets no entry for what nobody chose.
"use strict";

(() => {
  const REST = 400; // milliseconds between two requests that are shown
  const button = document.getElementById("follow");
  const list = document.getElementById("list").parentElement;
  const stage = () => document.querySelector("#stage .stage");

  let following = false;
  let busy = false;

  const set = (now) => {
    following = now;
    button.setAttribute("aria-pressed", String(now));
    if (now) show();
  };

  const show = async () => {
    const row = document.querySelector("#requests > li:not([data-state=running])");
    if (!following || busy || !row || row.id === `r-${stage()?.dataset.record}`) return;
    busy = true;
    document.getElementById("list").scrollTop = 0;
    const address = row.querySelector("a").getAttribute("href");
    const values = Object.fromEntries(new URLSearchParams(document.body.dataset.query ?? ""));
    if (stage()) values.tab = stage().dataset.tab;
    await window.htmx.ajax("GET", address, { target: "#stage", source: "#stage", values }).catch(() => {});
    const asked = new URLSearchParams(values).toString();
    if (following) history.replaceState(history.state, "", asked ? `${address}?${asked}` : address);
    setTimeout(() => {
      busy = false;
      show();
    }, REST);
  };

  button.addEventListener("click", () => set(!following));
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.closest("#requests")) set(false); // chosen by hand or key
  });
  new MutationObserver(show).observe(list, { childList: true, subtree: true });
})();
