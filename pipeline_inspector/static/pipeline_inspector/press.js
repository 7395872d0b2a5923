// While a row is pressed no row moves: what moves away between press and release is not clicked.
"use strict";

(() => {
  const LONGEST = 4000; // milliseconds

  let released = Promise.resolve();
  document.addEventListener("pointerdown", (event) => {
    if (!(event.target instanceof Element && event.target.closest("#list"))) return;
    released = new Promise((go) => {
      const afterTheClick = () => setTimeout(go);
      for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, afterTheClick, { once: true });
      setTimeout(go, LONGEST);
    });
  });

  window.inspector.released = () => released;
})();
