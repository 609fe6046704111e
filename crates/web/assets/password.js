// Shows what is typed into a password's field, where that is wanted, and says beside a new one how good it is. The house
// decides when it is sent: it knows ten thousand common ones, this script a few dozen. What is typed goes nowhere.
(() => {
  "use strict";
  const said = document.currentScript.dataset;

  const COMMON = ("password qwertyuiop qwerty dragon baseball football monkey letmein shadow master superman batman soccer " +
    "charlie sunshine iloveyou ranger hockey computer starwars pepper freedom princess ginger cheese summer access thunder " +
    "secret diamond hello hammer silver internet orange cookie phoenix welcome whatever bitcoin gruve mining passord sommer " +
    "vinter admin login hemmelig").split(" ");
  const ROWS = ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
  const PIECE = 2;      // what a common piece counts, as in the house's own rule
  const LEAST = 8;      // below it is refused
  const GOOD = 16;

  const backwards = (s) => [...s].reverse().join("");
  const isRow = (s) => ROWS.some((row) => row.includes(s) || row.includes(backwards(s)));

  function isPiece(s, own) {
    return [...s].every((c) => c === s[0]) || /^(19|20)\d\d$/.test(s) || isRow(s) || own.includes(s) || COMMON.includes(s);
  }

  // What is one piece again and again is that piece.
  function unit(s) {
    for (let p = 1; p <= s.length / 2; p++) if (s.startsWith(s.slice(p))) return s.slice(0, p);
    return s;
  }

  // The least that the characters count, over all ways to cut them.
  function counted(password, own) {
    const plain = unit(password.toLowerCase().slice(0, 64));
    const s = plain.replace(/0/g, "o").replace(/@/g, "a").replace(/\$/g, "s");
    const counts = [0];
    for (let end = 1; end <= s.length; end++) {
      let best = counts[end - 1] + 1;
      for (let from = Math.max(0, end - 26); from <= end - 3; from++) {
        const worse = counts[from] + PIECE < best;
        if (worse && (isPiece(s.slice(from, end), own) || isPiece(plain.slice(from, end), own))) best = counts[from] + PIECE;
      }
      counts.push(best);
    }
    return counts[s.length];
  }

  function known(input) {
    const fields = [...(input.form?.querySelectorAll("input[type=text], input[type=email]") ?? [])];
    // A password that is shown is a field of text, too.
    const typed = fields.filter((field) => !field.dataset.seen).map((field) => field.value);
    return typed.flatMap((v) => v.toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((w) => w.length >= 3);
  }

  function judged(input) {
    const length = [...input.value].length;
    if (length === 0) return ["", ""];
    if (length < Number(said.least)) return ["bad", said.short.replace("{n}", String(length))];
    const n = counted(input.value, known(input));
    if (n < LEAST) return ["bad", said.weak];
    return n < GOOD ? ["warn", said.fair] : ["good", said.good];
  }

  for (const input of document.querySelectorAll("input[type=password]")) {
    if (input.dataset.seen) continue;
    input.dataset.seen = "yes";
    const show = document.createElement("button");
    show.type = "button";
    show.className = "plain reveal";
    show.textContent = said.show;
    show.setAttribute("aria-pressed", "false");
    show.addEventListener("click", () => {
      const isShown = input.type === "password";
      input.type = isShown ? "text" : "password";
      show.setAttribute("aria-pressed", String(isShown));
    });
    // Sent as it was: a browser remembers what stands in a field of text.
    input.form?.addEventListener("submit", () => { input.type = "password"; });
    input.after(show);
    if (input.autocomplete !== "new-password") continue;
    const strength = document.createElement("p");
    strength.className = "strength";
    strength.setAttribute("role", "status");
    show.after(strength);
    input.addEventListener("input", () => {
      const [kind, words] = judged(input);
      strength.className = `strength ${kind}`;
      strength.textContent = words;
    });
  }
})();
