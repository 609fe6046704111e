// Keeps the parts of a page marked data-live fresh: when the server says that something of what a part names there changed,
// the page is fetched again, and what differs in its marked parts is written into those that are shown; parts that are new
// come where they stand there, and parts that are gone go. What the reader does meanwhile stays: where the focus and the
// caret are, what is written into a form, what is folded open, how far is scrolled. Without this script everything works the
// same; one reloads by hand.
(() => {
  "use strict";
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!window.EventSource || parts().length === 0) return;

  const LEAST_MS = 1000; // at most one refresh a second, however many events come
  const MOST_MS = 60000; // the longest wait after answers that failed, one after another
  let spread = 0; // over how long the house wants the pages that are open to refresh themselves
  let last = -Infinity; // when the page was fetched last
  let stale = false; // something shown here changed since
  let failed = 0; // answers that failed, one after another
  let timer = 0;
  let busy = false;
  let heard = document.currentScript.dataset.changes; // the count of changes: of the page's writing, then as last heard

  // The longer the more often it failed; never all pages at the same moment.
  const patience = (times) => Math.min(MOST_MS, LEAST_MS * 2 ** times) * (0.5 + Math.random());

  function changed() {
    stale = true;
    plan();
  }

  function plan() {
    if (!stale || busy || timer || document.hidden) return;
    const wait = failed ? patience(failed) : Math.max(spread * (0.5 + Math.random()), LEAST_MS - (performance.now() - last));
    timer = setTimeout(refresh, wait);
  }

  async function refresh() {
    timer = 0;
    if (document.hidden) return; // once it is looked at again
    busy = true;
    stale = false;
    last = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { "Accept": "text/html", "Gruve-Refresh": "yes" } });
      if (answer.status >= 500 || answer.status === 429) throw new Error("not now");
      // Another page in its place, as after the session's end, is for who loads it.
      if (answer.ok && !answer.redirected) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      failed = 0;
    } catch (_) {
      stale = true;
      failed += 1;
    } finally {
      busy = false;
      plan();
    }
  }

  function show(fresh) {
    const at = document.activeElement;
    for (const old of parts()) {
      const part = fresh.getElementById(old.id);
      if (part) renew(old, part); else old.remove();
    }
    for (const part of fresh.querySelectorAll("[data-live][id]")) {
      if (document.getElementById(part.id)) continue;
      const [before, after] = ["previousElementSibling", "nextElementSibling"].map((next) => {
        let beside = part[next];
        while (beside && !(beside.id && document.getElementById(beside.id))) beside = beside[next];
        return beside && document.getElementById(beside.id);
      });
      const next = document.importNode(part, true);
      if (before) before.after(next); else if (after) after.before(next);
    }
    // What was moved has lost the focus.
    if (at && at.isConnected && at !== document.activeElement) at.focus({ preventScroll: true });
  }

  // What stands for what: nothing of one thing is ever written into another, so that words half written for one customer, or
  // a list folded open, stay with it and never come beside somebody else's name. A form is what it sends and where to; a
  // row or an item is its forms, else where its first link leads.
  function about(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
    const form = (f) => [f, ...f.querySelectorAll("input[type=hidden]:not([name=csrf])")]
      .map((e) => `${e.getAttribute("action") || e.name}=${e.value || ""}`).join("&");
    let what = node.id || node.getAttribute("aria-labelledby") || node.getAttribute("name") || "";
    if (node.matches("form")) what = form(node);
    else if (node.matches("a")) what = node.getAttribute("href");
    else if (node.matches("tr, li, details, article, dl > div")) {
      const forms = node.querySelectorAll("form");
      what = forms.length ? [...forms].map(form).join() : node.querySelector("a[href]")?.getAttribute("href") || what;
    }
    return `${node.nodeName} ${what}`;
  }

  // Makes a part what it is on the fresh page, with as many of its own elements as stand for the same there.
  function renew(old, next) {
    if (old.isEqualNode(next)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.data = next.data;
      return;
    }
    for (const name of new Set([...old.getAttributeNames(), ...next.getAttributeNames()])) {
      // The reader opens and closes.
      if (name === "open" && old.matches("details")) continue;
      const value = next.getAttribute(name);
      if (value === null) old.removeAttribute(name); else if (value !== old.getAttribute(name)) old.setAttribute(name, value);
    }
    const left = new Map();
    for (const child of old.childNodes) {
      const key = about(child);
      if (left.has(key)) left.get(key).push(child); else left.set(key, [child]);
    }
    const pairs = [...next.childNodes].map((child) => [left.get(about(child))?.shift(), child]);
    for (const gone of left.values()) gone.forEach((child) => child.remove());
    let place = old.firstChild;
    for (const [mate, child] of pairs) {
      if (mate) renew(mate, child);
      if (mate && mate === place) place = place.nextSibling;
      else old.insertBefore(mate || document.importNode(child, true), place);
    }
  }

  // Whether any of these topics is shown here.
  function concerns(topics) {
    const changed = new Set(topics.split(","));
    return [...parts()].some((part) => part.dataset.live.split(" ").some((topic) => changed.has(topic)));
  }

  const lamp = document.getElementById("live-lamp");
  const light = (on) => { if (lamp) lamp.hidden = !on; };
  let events;
  let refused = 0; // streams that were refused, one after another

  // Only a page that is looked at takes a stream: a browser has six connections to a house for all its pages together.
  function listen() {
    if (document.hidden || events && events.readyState !== EventSource.CLOSED) return;
    events = new EventSource("/events");
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
    events.addEventListener("open", () => {
      refused = 0;
      light(true);
    });
    events.addEventListener("error", () => {
      light(false);
      // A browser tries again after a cut, but not after an answer that is no stream: a proxy's whose house restarts, or
      // the house's own that all places are taken.
      if (events.readyState !== EventSource.CLOSED) return;
      refused += 1;
      setTimeout(listen, patience(refused));
    });
  }

  function leave() {
    events?.close();
    light(false);
  }

  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave(); else listen();
    plan();
  });
  addEventListener("pagehide", leave);
  // A page that comes back as it was left.
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
})();
