// Sliders beside the fields of an order, and the estimate that follows them: the page itself is asked again with the
// chosen figures, and its estimate put in place of the old one. Without this script a button does the same.
(() => {
  "use strict";
  const form = document.querySelector("form[data-estimate]");
  const sheet = document.getElementById("estimate");
  if (!form || !sheet) return;

  const WAIT_MS = 250; // after the last move
  const names = form.dataset.fields.split(" ");
  let timer = 0;
  let asked = null;

  async function refresh() {
    const query = new URLSearchParams();
    for (const name of names) query.set(name, form.elements[name].value);
    const address = `${form.dataset.estimate}?${query}`;
    if (asked) asked.abort();
    asked = new AbortController();
    sheet.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { headers: { "Accept": "text/html" }, signal: asked.signal });
      if (answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("estimate");
      if (!fresh) return;
      const open = [...sheet.querySelectorAll("details")].map((d) => d.open);
      const parts = document.importNode(fresh, true);
      parts.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? d.open; });
      sheet.replaceChildren(...parts.childNodes);
      history.replaceState(null, "", address);
    } catch (_) {
      // Another move came, or the network is away: the next one asks again.
    } finally {
      sheet.removeAttribute("aria-busy");
    }
  }

  function changed() {
    clearTimeout(timer);
    timer = setTimeout(refresh, WAIT_MS);
  }

  for (const range of form.querySelectorAll("input[data-slide]")) {
    const field = form.elements[range.dataset.slide];
    const isList = field.tagName === "SELECT";
    const { least, step, unit, decimal } = range.dataset;
    const said = () => { range.setAttribute("aria-valuetext", isList ? field.selectedOptions[0].text.trim() : field.value); };
    range.hidden = false;
    if (isList) range.value = String(field.selectedIndex);
    range.addEventListener("input", () => {
      if (isList) {
        field.selectedIndex = Number(range.value);
      } else {
        const thousandths = Number(least) + Number(step) * Number(range.value);
        field.value = `${String(thousandths / 1000).replace(".", decimal)} ${unit}`;
      }
      said();
      changed();
    });
    field.addEventListener(isList ? "change" : "input", () => {
      if (isList) {
        range.value = String(field.selectedIndex);
      } else {
        const typed = field.value.trim().replace(/[\s\u00a0\u202f](?=\d)/g, "").replace(",", ".").match(/^([\d.]+)\s*(\S+)$/);
        if (typed && typed[2] === unit) {
          range.value = String(Math.round((Number(typed[1]) * 1000 - Number(least)) / Number(step)));
        }
      }
      said();
      changed();
    });
    said();
  }
  for (const button of form.querySelectorAll("[data-recompute]")) button.hidden = true;
})();
