"""What can be wrong with the look of any page: it runs over, words are cut, covered or too small to be read."""

from playwright.sync_api import Page

_LOOK = """
([smallest]) => {
  const wrong = [];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !element.closest(".hidden, .skip, .toast") && getComputedStyle(element).clipPath === "none";
  const short = (text) => text.trim().replace(/\\s+/g, " ").slice(0, 40);
  const wide = document.scrollingElement.scrollWidth;
  if (wide > innerWidth) wrong.push(`the page is ${wide} wide on a screen of ${innerWidth}`);

  const moving = document.getAnimations().length;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches && moving) wrong.push(`${moving} things move`);

  const among = document.querySelector("dialog[open]") ?? document.body;
  const words = [];
  const walker = document.createTreeWalker(among, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("svg, script, style, select, noscript") || !seen(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      if (rect.width >= 1 && rect.height >= 1) words.push({ node, element, text: short(node.data), rect });
    }
  }

  // -- cut: the part outside a box that hides what runs over, unless an ellipsis says so and a tooltip has the whole
  for (const word of words) {
    let { left, right, top, bottom } = word.rect;
    for (let box = word.element; box && box !== document.documentElement; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.display === "inline" || style.display === "contents") continue;
      const edge = box.getBoundingClientRect();
      const told = style.textOverflow === "ellipsis" && word.element.closest("[title]");
      if (["hidden", "clip"].includes(style.overflowX) && !told && (left < edge.left - 1 || right > edge.right + 1))
        wrong.push(`cut at the side: ${word.text}`);
      if (["hidden", "clip"].includes(style.overflowY) && (top < edge.top - 3 || bottom > edge.bottom + 3))
        wrong.push(`cut at the edge: ${word.text}`);
      if (style.overflowX !== "visible") [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
      if (style.overflowY !== "visible") [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
      if (style.position === "fixed") break;
    }
    word.shown = { left, right, top: top + (bottom - top) * 0.22, bottom: bottom - (bottom - top) * 0.22 };
  }

  // -- covered: two words in one place
  const shown = words.filter(({ shown: r }) => r.right - r.left > 1 && r.bottom - r.top > 1);
  shown.sort((one, other) => one.shown.top - other.shown.top);
  shown.forEach((one, index) => {
    for (let at = index + 1; at < shown.length && shown[at].shown.top < one.shown.bottom; at += 1) {
      const other = shown[at];
      const over = Math.min(one.shown.right, other.shown.right) - Math.max(one.shown.left, other.shown.left);
      const sticky = [one, other].some(({ element }) => element.closest("thead, .waterfall-scale"));
      if (over > 1.5 && !sticky && one.node !== other.node) wrong.push(`${one.text} and ${other.text} stand in one place`);
    }
  });

  // -- letters of pictures: in the picture, large enough, and not upon each other
  for (const svg of among.querySelectorAll("svg")) {
    if (!seen(svg)) continue;
    const edge = svg.getBoundingClientRect();
    const letters = [];
    [...svg.querySelectorAll("text")].forEach((text, index) => {
      const content = text.textContent.trim();
      if (!content || !seen(text) || !text.getBoundingClientRect().width) return;
      const matrix = text.getScreenCTM();
      const size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(matrix.a, matrix.b);
      if (size < smallest) wrong.push(`${short(content)} is written ${size.toFixed(1)} px high`);
      for (let at = 0; at < text.getNumberOfChars(); at += 1) {
        const box = text.getExtentOfChar(at);
        if (!box.width) continue;
        const point = new DOMPoint(box.x + box.width / 2, box.y + box.height / 2).matrixTransform(matrix);
        letters.push({ index, content, x: point.x, y: point.y, half: size * 0.24 });
        const out = [point.x - edge.left, edge.right - point.x, point.y - edge.top, edge.bottom - point.y];
        if (Math.min(...out) < 0 && getComputedStyle(svg).overflow !== "visible")
          wrong.push(`${short(content)} leaves its picture`);
      }
    });
    letters.sort((one, other) => one.y - other.y);
    letters.forEach((one, index) => {
      for (let at = index + 1; at < letters.length && letters[at].y - one.y < one.half + letters[at].half; at += 1) {
        const other = letters[at];
        if (one.index !== other.index && Math.abs(one.x - other.x) < one.half + other.half)
          wrong.push(`${short(one.content)} and ${short(other.content)} cover each other`);
      }
    });
    const pills = [...svg.querySelectorAll(".crossing")].filter((pill) => pill.getBoundingClientRect().width);
    for (const pill of pills) {
      const box = pill.querySelector("rect").getBoundingClientRect();
      for (const letter of letters)
        if (letter.content !== pill.textContent.trim() && letter.x > box.left && letter.x < box.right
          && letter.y > box.top && letter.y < box.bottom) wrong.push(`a number covers ${short(letter.content)}`);
    }
  }
  return [...new Set(wrong)];
}
"""
_ENLARGE = """
() => {
  const all = [...document.querySelectorAll("body, body *")].filter((element) => !element.closest("svg"));
  const sizes = all.map((element) => parseFloat(getComputedStyle(element).fontSize));
  all.forEach((element, index) => element.style.setProperty("font-size", `${sizes[index] * 2}px`));
}
"""


def faults_of(page: Page, smallest: float = 6.9) -> list[str]:
    """What is wrong with the look of ``page``, in words. ``smallest``: how small letters in a picture may be, in pixels."""
    found: list[str] = page.evaluate(_LOOK, [smallest])
    return found


def enlarge_text(page: Page) -> None:
    """Make all letters twice as large and nothing else, as a browser does that enlarges text only."""
    page.evaluate(_ENLARGE)
