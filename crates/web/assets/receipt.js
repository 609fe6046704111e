// Checks receipts from the contract's leaf to the operator's signature, with the browser's own cryptography.
// docs/record-format.md defines every byte. Nothing is sent anywhere; with a connection the public log is fetched
// and the receipt's signed head is held against it. A link may name a contract and an epoch: their receipt is fetched
// for its owner, who is signed in, and checked.
(() => {
  "use strict";
  const form = document.getElementById("receipt-form");
  const said = document.getElementById("receipt-said");
  if (!form || !said) return;

  const LEAVES_MAX = 1 << 20; // entries of a public log that a page will fetch: 32 MB
  const ENTRIES_MAX = 1n << 24n; // and those that any log may have
  const SUM_MAX = (1n << 128n) - 1n;
  class Untrue extends Error {}
  const need = (holds, what) => { if (!holds) throw new Untrue(what); };

  const text = new TextEncoder();
  const join = (...parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) { out.set(p, at); at += p.length; }
    return out;
  };
  const sha = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
  const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
  const unhex = (s, length) => {
    need(typeof s === "string" && /^([0-9a-f]{2})*$/.test(s), "a field is not hexadecimal");
    const out = Uint8Array.from(s.match(/../g) ?? [], (b) => parseInt(b, 16));
    need(length === undefined || out.length === length, "a field has another length than it must");
    return out;
  };
  const unbase64 = (s) => {
    need(/^[A-Za-z0-9+/]*={0,2}$/.test(s) && s.length % 4 === 0, "not base64");
    const out = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
    need(btoa(String.fromCharCode(...out)) === s, "base64 in another than its one form");
    return out;
  };
  const number = (v, bytes) => {
    const n = BigInt(v);
    need(n >= 0n && n < 1n << BigInt(8 * bytes), "a number that does not fit");
    return Uint8Array.from({ length: bytes }, (_, i) => Number((n >> BigInt(8 * (bytes - 1 - i))) & 255n));
  };
  const whole = (v) => {
    need(typeof v === "string" && /^(0|[1-9][0-9]{0,38})$/.test(v) || Number.isSafeInteger(v) && v >= 0, "not a whole number");
    return BigInt(v);
  };
  const id = (s) => {
    need(typeof s === "string", "not an id");
    return unhex(s.replaceAll("-", ""), 16);
  };

  // Reads an epoch's entry from its first byte to its last.
  const readEntry = (bytes) => {
    let at = 0;
    const take = (n) => { need(at + n <= bytes.length, "the entry is cut short"); at += n; return bytes.slice(at - n, at); };
    const big = (n) => take(n).reduce((v, b) => (v << 8n) | BigInt(b), 0n);
    const form = take(14);
    // The third form names the places of rewards behind everything else.
    const named = same(form, text.encode("gruve epoch 3\0"));
    need(named || same(form, text.encode("gruve epoch 2\0")), "not an epoch's entry");
    const lane = new TextDecoder("utf-8", { fatal: true }).decode(take(Number(big(1))));
    const entry = { lane };
    take(1);
    entry.proven = big(1) === 1n;
    entry.epoch = big(8);
    entry.before = big(8);
    take(32);
    entry.length = big(8);
    entry.shares = big(8);
    entry.house = big(16);
    entry.other = big(16);
    take(32 + 16 + 32);
    entry.surplus = big(16);
    entry.contracts = big(8);
    entry.sums = [big(16), big(16), big(16)];
    entry.sold = take(32);
    take(40 + 40 + 3 + (named ? 40 : 0));
    need(at === bytes.length, "bytes follow the entry");
    return entry;
  };

  // The way from a leaf to the root (RFC 9162, section 2.1.3.2), by whatever makes a parent.
  const climb = async (size, index, leaf, siblings, parent) => {
    need(index < size, "a place outside the tree");
    let [at, last, node] = [index, size - 1n, leaf];
    for (const sibling of siblings) {
      need(last > 0n, "too many siblings");
      if (at & 1n || at === last) {
        node = await parent(sibling, node);
        while (!(at & 1n) && at !== 0n) { at >>= 1n; last >>= 1n; }
      } else {
        node = await parent(node, sibling);
      }
      at >>= 1n;
      last >>= 1n;
    }
    need(last === 0n, "siblings are missing");
    return node;
  };
  const sumBytes = (sums) => join(...sums.map((s) => number(s, 16)));
  const sumParent = async (l, r) => {
    const sums = l.sums.map((s, i) => s + r.sums[i]);
    need(sums.every((s) => s <= SUM_MAX), "a sum that does not fit");
    return { sums, hash: await sha([2], sumBytes(l.sums), l.hash, sumBytes(r.sums), r.hash) };
  };
  const plainParent = (l, r) => sha([1], l, r);

  const readKey = async (line) => {
    const [name, hash, ...rest] = line.split("+");
    const bytes = unbase64(rest.join("+"));
    need(bytes.length === 33 && bytes[0] === 1, "not an Ed25519 key of the form name+hash+base64");
    const own = (await sha(text.encode(name), [10], bytes)).slice(0, 4);
    need(same(own, unhex(hash, 4)), "a key whose hash is another");
    return { name, id: own, key: bytes.slice(1) };
  };

  // Keys, each with the size of the log from which on it signs, where that is said behind it.
  const readKeys = async (given) => {
    const keys = [];
    for (const word of given) {
      if (/^[0-9]+$/.test(word)) {
        need(keys.length > 0, "not an Ed25519 key of the form name+hash+base64");
        keys[keys.length - 1].from = BigInt(word);
      } else {
        keys.push({ from: 0n, ...await readKey(word) });
      }
    }
    return keys;
  };

  // The head of a signed note, if the key signed it that was in force at its size: an older one may be in a thief's hands.
  const readNote = async (note, keys) => {
    const cut = note.indexOf("\n\n");
    need(cut > 0 && note.endsWith("\n"), "not a signed note");
    const body = note.slice(0, cut + 1);
    const lines = body.split("\n");
    need(lines.length === 4, "not a checkpoint");
    const [origin, size, root] = lines;
    need(/^[1-9][0-9]{0,7}$/.test(size) && BigInt(size) <= ENTRIES_MAX, "not a checkpoint");
    const from = keys.map((k) => k.from).filter((f) => f <= BigInt(size)).reduce((a, b) => (a > b ? a : b), 0n);
    let signed = false;
    for (const line of note.slice(cut + 2).split("\n").slice(0, -1)) {
      const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
      need(parts, "not a signature line");
      const bytes = unbase64(parts[2]);
      for (const k of keys) {
        if (k.from !== from || k.name !== parts[1] || k.name !== origin || !same(bytes.slice(0, 4), k.id)) continue;
        const key = await crypto.subtle.importKey("raw", k.key, { name: "Ed25519" }, false, ["verify"]);
        const good = await crypto.subtle.verify({ name: "Ed25519" }, key, bytes.slice(4), text.encode(body));
        need(good, "a signature that is not the operator's");
        signed = true;
      }
    }
    need(signed, "the operator's key has not signed this head");
    return { origin, size: BigInt(size), root: unbase64(root) };
  };

  const check = async (r, keys) => {
    need(r.version === 1, "a receipt of an unknown form");
    const head = await readNote(r.checkpoint, keys);
    need(head.origin === r.origin, "the receipt of another log");
    const bytes = unhex(r.entry);
    const leaf = await sha([0], bytes);
    const proof = r.log_proof.map((h) => unhex(h, 32));
    const root = await climb(head.size, whole(r.entry_index), leaf, proof, plainParent);
    need(same(root, head.root), "the epoch is not in the log that was signed");
    const entry = readEntry(bytes);
    const p = r.private;
    need(r.kind === 0 || r.kind === 1, "the receipt is not of its form");
    need(typeof p.refund_asset === "string" && Number.isSafeInteger(p.refund_minor), "the receipt is not of its form");
    const asset = text.encode(p.refund_asset);
    need(asset.length < 256, "the receipt is not of its form");
    const refund = BigInt.asUintN(64, BigInt(p.refund_minor));
    const hidden = await sha(text.encode("gruve sold 1\0"), unhex(p.salt, 32), unhex(p.nonce, 32), unhex(p.terms, 32),
      number(whole(p.units), 16), number(refund, 8), [asset.length], asset);
    const sums = ["hashrate", "allocated", "owed"].map((k) => whole(r.work[k]));
    const hash = await sha([0], sumBytes(sums), id(r.contract), [r.kind], number(whole(r.entitled), 16), hidden);
    const siblings = r.sold_proof.map((s) => (
      { sums: ["hashrate", "allocated", "owed"].map((k) => whole(s[k])), hash: unhex(s.hash, 32) }));
    const top = await climb(entry.contracts, whole(r.leaf_index), { sums, hash }, siblings, sumParent);
    need(same(top.hash, entry.sold) && top.sums.every((s, i) => s === entry.sums[i]),
      "the contract is not in the epoch's sold tree with this rate, work and money");
    return { entry, head, sums, kind: r.kind, entitled: whole(r.entitled), contract: r.contract };
  };

  // A series: receipts of one contract under one head, with everything once.
  const SERIES = text.encode("GRUVRCP1");
  const isSeries = (bytes) => same(bytes.subarray(0, SERIES.length), SERIES);
  const bigOf = (bytes) => bytes.reduce((v, b) => (v << 8n) | BigInt(b), 0n);

  // The sizes of the subtrees that together are the leaves from one place up to another.
  const between = (size, from, to) => {
    const all = [];
    for (let at = from; at < to;) {
      const aligned = at === 0 ? Infinity : at & -at;
      const left = to - at;
      const leaves = to === size && left < aligned ? left : Math.min(aligned, 2 ** (31 - Math.clz32(left)));
      all.push(leaves);
      at += leaves;
    }
    return all;
  };
  // Roots of subtrees, largest first; two of one size become one.
  const pushNode = async (peaks, hash, leaves) => {
    let node = { hash, leaves };
    while (peaks.length > 0 && peaks[peaks.length - 1].leaves === node.leaves) {
      const left = peaks.pop();
      node = { hash: await plainParent(left.hash, node.hash), leaves: 2 * node.leaves };
    }
    peaks.push(node);
  };
  const siblingsOf = (size, index) => {
    need(index < size, "a place outside the tree");
    let [at, last, n] = [index, size - 1n, 0];
    for (; last > 0n; n++) {
      while (at === last && !(at & 1n) && at !== 0n) { at >>= 1n; last >>= 1n; }
      at >>= 1n;
      last >>= 1n;
    }
    return n;
  };

  const checkSeries = async (bytes, keys, about) => {
    let at = SERIES.length;
    const take = (n) => {
      need(at + n <= bytes.length, "the receipt is not of its form");
      at += n;
      return bytes.subarray(at - n, at);
    };
    const count = (n) => take(n).reduce((v, b) => v * 256 + b, 0);
    const note = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(count(2)));
    const contract = take(16);
    const hex = Array.from(contract, (b) => b.toString(16).padStart(2, "0")).join("");
    about.contract = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    const kind = count(1);
    const nonce = take(32);
    const terms = take(32);
    const asset = take(count(1));
    need(kind === 0 || kind === 1, "the receipt is not of its form");
    const head = await readNote(note, keys);
    const size = Number(head.size);
    const peaks = [];
    const good = [];
    let [next, before, last] = [0, [], null];
    for (;;) {
      const place = count(4);
      need(place >= next && place <= size, "the receipt is not of its form");
      for (const leaves of between(size, next, place)) await pushNode(peaks, take(32), leaves);
      if (place === size) break;
      next = place + 1;
      const own = take(count(2));
      await pushNode(peaks, await sha([0], own), 1);
      const entry = readEntry(own);
      need(!last || last.lane === entry.lane && last.epoch < entry.epoch, "the receipt is not of its form");
      last = entry;
      const now = [];
      const step = () => {
        const coded = take(count(1));
        need(coded.length <= 16 && coded[0] !== 0, "a number that does not fit");
        const v = bigOf(coded);
        const difference = v & 1n ? -(v >> 1n) - 1n : v >> 1n;
        now.push(BigInt.asUintN(128, (before[now.length] ?? 0n) + difference));
        return now[now.length - 1];
      };
      const index = step();
      const sums = [step(), step(), step()];
      const entitled = step();
      const units = step();
      const refund = step();
      need(BigInt.asIntN(64, refund) === BigInt.asIntN(128, refund), "a number that does not fit");
      const hidden = await sha(text.encode("gruve sold 1\0"), take(32), nonce, terms, number(units, 16),
        number(BigInt.asUintN(64, refund), 8), [asset.length], asset);
      const hash = await sha([0], sumBytes(sums), contract, [kind], number(entitled, 16), hidden);
      const siblings = [];
      for (let n = siblingsOf(entry.contracts, index); n > 0; n--) {
        siblings.push({ sums: [step(), step(), step()], hash: take(32) });
      }
      before = now;
      const top = await climb(entry.contracts, index, { sums, hash }, siblings, sumParent);
      need(same(top.hash, entry.sold) && top.sums.every((s, i) => s === entry.sums[i]),
        "the contract is not in the epoch's sold tree with this rate, work and money");
      good.push({ entry, head, sums, kind, entitled, contract: about.contract });
    }
    need(at === bytes.length, "the receipt is not of its form");
    let root = null;
    for (const peak of peaks.reverse()) root = root ? await plainParent(peak.hash, root) : peak.hash;
    need(root && same(root, head.root), "the epoch is not in the log that was signed");
    return good;
  };

  // Roots over the first entries of the public log as it is now.
  const rootsOf = async (leaves, sizes) => {
    const full = [leaves];
    while (full[full.length - 1].length > 1) {
      const below = full[full.length - 1];
      const level = [];
      for (let i = 0; i + 1 < below.length; i += 2) level.push(await plainParent(below[i], below[i + 1]));
      full.push(level);
    }
    const of = async (from, size) => {
      const level = Math.log2(size);
      if (Number.isInteger(level)) return full[level][from / size];
      const left = 2 ** Math.floor(level);
      return plainParent(await of(from, left), await of(from + left, size - left));
    };
    return Promise.all(sizes.map((n) => of(0, n)));
  };
  const get = async (path) => {
    const answer = await fetch(`/record/${path}`, { cache: "no-cache" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer;
  };
  const tileNumber = (n) => {
    let out = String(n % 1000).padStart(3, "0");
    for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
      out = `x${String(rest % 1000).padStart(3, "0")}/${out}`;
    }
    return out;
  };
  const compare = async (heads, keys) => {
    const now = await readNote(await (await get("checkpoint")).text(), keys);
    need(now.size <= BigInt(LEAVES_MAX), "the log is too long for a page; use gruve verify");
    const size = Number(now.size);
    const leaves = [];
    for (let n = 0; n * 256 < size; n++) {
      const width = Math.min(256, size - n * 256);
      const path = `tile/0/${tileNumber(n)}${width === 256 ? "" : `.p/${width}`}`;
      const tile = new Uint8Array(await (await get(path)).arrayBuffer());
      need(tile.length === 32 * width, "a tile of another size");
      for (let i = 0; i < width; i++) leaves.push(tile.slice(32 * i, 32 * i + 32));
    }
    for (const head of heads) {
      need(head.origin === now.origin, "the public log has another name");
      need(head.size <= now.size, "the public log is shorter now than when the receipt was made: its history was cut");
    }
    const sizes = [...new Set([size, ...heads.map((h) => Number(h.size))])].filter((n) => n > 0);
    const roots = await rootsOf(leaves, sizes);
    need(same(roots[0], now.root), "the public log's tiles are not what its checkpoint signs");
    for (const head of heads) {
      const root = roots[sizes.indexOf(Number(head.size))];
      need(root && same(root, head.root), "the public log has another history than the receipt was made of");
    }
    return size;
  };

  // The page says these sentences in its own language; without that they are English.
  const words = JSON.parse(form.dataset.words || "{}");
  const say = (english, values = {}) =>
    (words[english] ?? english).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  const show = (kind, lines) => {
    said.replaceChildren(...lines.map((line, i) => {
      const p = document.createElement("p");
      if (i === 0) p.className = `message ${kind}`;
      p.textContent = line;
      return p;
    }));
  };
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u2009");

  // What no single receipt shows to be wrong, and still is to be asked: a claim on less than the rate makes, epochs without a
  // receipt between others, a debt that fell by more than the work. Of each kind and contract the first.
  const questions = (good) => {
    const by = new Map();
    for (const g of good) {
      const of = `${g.contract} ${g.entry.lane}`;
      by.set(of, (by.get(of) ?? new Map()).set(g.entry.epoch, g));
    }
    const asked = [];
    for (const some of by.values()) {
      const own = [...some.values()].sort((a, b) => (a.entry.epoch < b.entry.epoch ? -1 : 1));
      const made = (g) => g.sums[0] * g.entry.length / 1000000n;
      const less = own.find((g) => g.entitled < made(g));
      if (less) {
        asked.push(say("Contract {contract}: in epoch {epoch} its rate makes {whole} hashes, and it had a claim on {entitled}. That is so in its first and last epoch and in a pause; ask why it was so then.",
          { contract: less.contract, epoch: less.entry.epoch, whole: grouped(made(less)), entitled: grouped(less.entitled) }));
      }
      const pairs = own.slice(1).map((g, i) => [own[i], g]);
      const gap = pairs.find(([a, b]) => b.entry.before !== a.entry.epoch);
      if (gap) {
        asked.push(say("Contract {contract}: there are epochs of lane {lane} between {first} and {last}, and no receipt of them is here; ask whether it was in their sold trees.",
          { contract: gap[1].contract, lane: gap[1].entry.lane, first: gap[0].entry.epoch, last: gap[1].entry.epoch }));
      }
      const cut = pairs.find(([a, b]) => (
        b.kind === 0 && b.entry.before === a.entry.epoch && a.sums[2] - b.sums[2] > b.sums[1]));
      if (cut) {
        asked.push(say("Contract {contract}: in epoch {epoch} it got {got} hashes, and what is owed fell from {before} to {after}; ask what was refunded.",
          { contract: cut[1].contract, epoch: cut[1].entry.epoch, got: grouped(cut[1].sums[1]),
            before: grouped(cut[0].sums[2]), after: grouped(cut[1].sums[2]) }));
      }
    }
    return asked;
  };

  const receipts = (all) => {
    const trimmed = all.trim();
    try { return [JSON.parse(trimmed)]; } catch (_) { /* one a line, then */ }
    return trimmed.split("\n").filter((l) => l.trim()).map((l) => JSON.parse(l));
  };

  const run = async () => {
    show("", [say("Checking…")]);
    const file = document.getElementById("receipt-file").files[0];
    const bytes = file ? new Uint8Array(await file.arrayBuffer()) : new Uint8Array();
    const given = file ? new TextDecoder().decode(isSeries(bytes) ? new Uint8Array() : bytes) : document.getElementById("receipt-text").value;
    let list;
    try { list = isSeries(bytes) ? [{}] : receipts(given); } catch (_) { return show("bad", [say("This is not a receipt: it cannot be read.")]); }
    if (list.length === 0) return show("bad", [say("There is no receipt to check.")]);
    try {
      const given = document.getElementById("receipt-key").value.trim().split(/\s+/).filter(Boolean);
      need(given.length > 0, "no key of the operator's is given");
      const keys = await readKeys(given);
      const good = [];
      for (const r of list) {
        try {
          const held = isSeries(bytes) ? await checkSeries(bytes, keys, r) : [await check(r, keys)];
          for (const one of held) good.push(one);
        } catch (e) {
          const why = e instanceof Untrue ? e.message : "the receipt is not of its form";
          throw new Untrue(say("Contract {contract}: {why}", { contract: r.contract, why: say(why) }));
        }
      }
      if (good.length === 0) return show("bad", [say("There is no receipt to check.")]);
      let compared;
      try {
        const size = await compare(good.map((g) => g.head), keys);
        compared = say("Compared with the public log as it is now: {size} entries, the same history.", { size: grouped(size) });
      } catch (e) {
        if (e instanceof Untrue) throw e;
        compared = say("Not compared with the public log as it is now: it cannot be reached. Everything else was checked.");
      }
      const told = good.slice(0, 20).map((g) => say(g.entry.proven
        ? "Contract {contract} got {got} of {entitled} hashes that it had a claim on, in epoch {epoch} of lane {lane} (proven work; contracts in all: {contracts}); {owed} are still owed."
        : "Contract {contract} got {got} of {entitled} hashes that it had a claim on, in epoch {epoch} of lane {lane} (unproven work; contracts in all: {contracts}); {owed} are still owed.", {
        contract: g.contract, got: grouped(g.sums[1]), entitled: grouped(g.entitled), epoch: g.entry.epoch,
        lane: g.entry.lane, contracts: grouped(g.entry.contracts), owed: grouped(g.sums[2]),
      }));
      const more = good.length > 20 ? [say("and {n} more.", { n: good.length - 20 })] : [];
      const holds = say(good.length === 1 ? "Yes: {n} receipt holds." : "Yes: {n} receipts hold.", { n: good.length });
      show("good", [holds, ...told, ...more, ...questions(good).slice(0, 20), compared]);
    } catch (e) {
      const why = e instanceof Untrue ? say(e.message) : say("this browser cannot check it ({why})", { why: e.message });
      show("bad", [say("No: {why}", { why })]);
    }
  };
  form.addEventListener("submit", (e) => { e.preventDefault(); void run(); });

  const checkNamed = async (contract, epoch) => {
    show("", [say("Checking…")]);
    try {
      const answer = await fetch(`/contracts/${contract}/receipts.jsonl?epoch=${epoch}`);
      // Nobody signed in is led to where one signs in; another's contract is not found.
      if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
      document.getElementById("receipt-text").value = await answer.text();
    } catch (_) {
      return show("bad", [say("There is no receipt to check.")]);
    }
    await run();
  };
  const asked = new URLSearchParams(location.search);
  const [contract, epoch] = ["contract", "epoch"].map((name) => asked.get(name) ?? "");
  if (/^[0-9a-f-]{36}$/.test(contract) && /^[0-9]{1,20}$/.test(epoch)) void checkNamed(contract, epoch);
})();
