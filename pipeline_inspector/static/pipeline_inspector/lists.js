// Long lists: a word narrows them down, a choice or a column's head puts them in another order.
"use strict";

(() => {
  const elementOf = (event) => (event.target instanceof Element ? event.target : null);

  // -- finding: what does not hold the words is hidden ----------------------------------------------------------------

  const find = (field) => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const items = [...document.querySelectorAll(`${field.dataset.find} [data-item]`)];
    let left = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      left += item.hidden ? 0 : 1;
    }
    const told = words.length === 0 ? "" : left === 0 ? "none" : `${left} of ${items.length}`;
    field.parentElement.querySelector(".found").textContent = told;
  };

  document.addEventListener("input", (event) => {
    const field = elementOf(event)?.closest("[data-find]");
    if (field) find(field);
  });
  document.addEventListener("keydown", (event) => {
    const field = event.key === "Escape" ? elementOf(event)?.closest("[data-find]") : null;
    if (!field || field.value === "") return;
    field.value = "";
    find(field);
    event.preventDefault();
  });

  // -- ordering -------------------------------------------------------------------------------------------------------

  const order = (list, value, downward = true) => {
    const items = [...list.children];
    items.forEach((item, index) => (item.dataset.place ??= String(index)));
    const key = value === "" ? (item) => -Number(item.dataset.place) : (item) => Number(item.dataset[value] ?? -1);
    const sign = downward ? 1 : -1;
    items.sort((one, other) => sign * (key(other) - key(one)) || one.dataset.place - other.dataset.place);
    list.append(...items);
  };

  document.addEventListener("change", (event) => {
    const choice = elementOf(event)?.closest("[data-sort]");
    if (choice) order(document.querySelector(choice.dataset.sort), event.target.value);
  });

  let kept = null; // the order that was chosen for the table of layers

  const orderBy = (head, downward) => {
    const table = head.closest("table");
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    const whole = head.dataset.by === "";
    table.classList.toggle("reordered", !whole);
    if (!whole) head.closest("th").setAttribute("aria-sort", downward ? "descending" : "ascending");
    order(table.tBodies[0], head.dataset.by, whole || downward);
    kept = whole ? null : { by: head.dataset.by, downward };
  };

  document.addEventListener("click", (event) => {
    const head = elementOf(event)?.closest("button[data-by]");
    if (head) orderBy(head, head.closest("th").getAttribute("aria-sort") !== "descending");
  });

  document.addEventListener("htmx:afterSwap", () => {
    const head = kept && document.querySelector(`#pipeline button[data-by="${kept.by}"]`);
    if (head && !head.closest("th").hasAttribute("aria-sort")) orderBy(head, kept.downward);
  });
})();
