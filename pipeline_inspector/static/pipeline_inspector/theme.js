// The theme that was chosen last, put on before the page is drawn: system, light or dark.
"use strict";

(() => {
  const key = "pipeline-inspector-theme";
  const themes = ["system", "light", "dark"];

  const stored = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };

  const wear = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };

  let current = themes.includes(stored()) ? stored() : "system";
  wear(current);

  const label = () => {
    const button = document.getElementById("theme");
    if (!button) return;
    button.setAttribute("aria-label", `Theme: ${current}`);
    button.title = `Theme: ${current} (t)`;
    button.dataset.theme = current;
  };

  const next = () => {
    current = themes[(themes.indexOf(current) + 1) % themes.length];
    try {
      localStorage.setItem(key, current);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    wear(current);
    label();
  };

  document.addEventListener("DOMContentLoaded", () => {
    label();
    document.getElementById("theme")?.addEventListener("click", next);
  });
})();
