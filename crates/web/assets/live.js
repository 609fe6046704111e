// Keeps the parts of a page marked data-live fresh: when the server says that something of what a part
// names there changed, the page is fetched again and its marked parts are put in place of the old ones; parts that are new
// come behind the one that they stand behind there, and parts that are gone go. Without this script
// everything works the same; one reloads by hand.
(() => {
  "use strict";
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!window.EventSource || parts().length === 0) return;

  const LEAST_MS = 1000; // at most one refresh a second, however many events come
  let spread = 0; // over how long the house wants the pages that are open to refresh themselves
  let last = 0;
  let waiting = false;
  let busy = false;
  let stale = false;
  let heard = document.currentScript.dataset.changes; // the count of changes: of the page's writing, then as last heard

  async function refresh() {
    waiting = false;
    if (document.hidden || busy) { stale = true; return; }
    busy = true;
    stale = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "Accept": "text/html", "Gruve-Refresh": "yes" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of parts()) {
        const part = fresh.getElementById(old.id);
        if (old.contains(document.activeElement)) continue;
        if (!part) { old.remove(); continue; }
        if (part.isEqualNode(old)) continue;
        const next = document.importNode(part, true);
        const open = [...old.querySelectorAll("details")].map((d) => d.open);
        next.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? d.open; });
        old.replaceWith(next);
      }
      for (const part of fresh.querySelectorAll("[data-live][id]")) {
        if (document.getElementById(part.id)) continue;
        let before = part.previousElementSibling;
        while (before && !document.getElementById(before.id)) before = before.previousElementSibling;
        if (before) document.getElementById(before.id).after(document.importNode(part, true));
      }
    } catch (_) {
      // The next event tries again.
    } finally {
      busy = false;
    }
  }

  function changed() {
    if (waiting) return;
    waiting = true;
    setTimeout(refresh, Math.max(spread * (0.5 + Math.random()), LEAST_MS - (Date.now() - last)));
  }

  // Whether any of these topics is shown here.
  function concerns(topics) {
    const changed = new Set(topics.split(","));
    return [...parts()].some((part) => part.dataset.live.split(" ").some((topic) => changed.has(topic)));
  }

  const lamp = document.getElementById("live-lamp");
  const show = (on) => { if (lamp) lamp.hidden = !on; };
  const events = new EventSource("/events");
  events.addEventListener("change", (event) => {
    const [count, wait, topics = ""] = event.data.split(" ");
    heard = count;
    spread = Number(wait) || 0;
    if (concerns(topics)) changed();
  });
  // Something changed while no stream was open: since the page was written, or since the stream was cut.
  events.addEventListener("hello", (event) => {
    const [count, wait] = event.data.split(" ");
    spread = Number(wait) || 0;
    if (heard !== count) changed();
    heard = count;
  });
  events.addEventListener("open", () => show(true));
  events.addEventListener("error", () => show(false));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) changed(); });
  addEventListener("pagehide", () => events.close());
})();
