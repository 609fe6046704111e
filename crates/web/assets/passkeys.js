// Passkeys: asks the browser for one where a page offers it. Everything that stands in a hidden part
// marked data-passkeys is shown only where this script runs and the browser knows passkeys.
(() => {
  "use strict";
  if (window.gruvePasskeys || !window.PublicKeyCredential) return;
  window.gruvePasskeys = true;

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (c) => c.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer || [])))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What the house answers to a form; its own words where it refuses.
  async function ask(path, form, names) {
    const body = new URLSearchParams();
    for (const name of names) {
      const field = form.elements[name];
      if (field) body.set(name, field.value);
    }
    const answer = await fetch(path, { method: "POST", body });
    if (answer.ok && (answer.headers.get("content-type") || "").includes("json")) return answer.json();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const said = page.querySelector("main .lead p:not(.crumbs)");
    throw new Error(said ? said.textContent : "");
  }

  function say(form, error) {
    const place = form.querySelector("[data-passkey-said]");
    if (!place) return;
    // What the browser itself says when somebody changes their mind is nothing to report in detail.
    place.textContent = error.name === "NotAllowedError" || !error.message
      ? place.dataset.passkeySaid : error.message;
    place.hidden = false;
  }

  const known = (list) => list.map((k) => ({ type: "public-key", id: bytes(k.id), transports: k.transports }));

  async function made(options) {
    const key = await navigator.credentials.create({ publicKey: {
      challenge: bytes(options.challenge),
      rp: { id: options.host, name: options.house },
      user: { id: bytes(options.user), name: options.name, displayName: options.name },
      pubKeyCredParams: options.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: known(options.has),
      authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
      attestation: "none",
      timeout: 300000,
    } });
    const r = key.response;
    return {
      client: text(r.clientDataJSON),
      authenticator: text(r.getAuthenticatorData()),
      transports: r.getTransports ? r.getTransports().join(",") : "",
    };
  }

  async function signed(options) {
    const key = await navigator.credentials.get({ publicKey: {
      challenge: bytes(options.challenge),
      rpId: options.host,
      allowCredentials: known(options.allowed),
      userVerification: options.must_verify ? "required" : "preferred",
      timeout: 300000,
    } });
    const r = key.response;
    return {
      id: key.id,
      client: text(r.clientDataJSON),
      authenticator: text(r.authenticatorData),
      signature: text(r.signature),
      user: text(r.userHandle),
    };
  }

  function fill(form, fields) {
    for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
  }

  // A form whose button asks for a passkey first, and is sent with what it said.
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const options = await ask(form.dataset.options, form, ["csrf", "login", "ticket", "password", "code"]);
        fill(form, form.dataset.passkey === "create" ? await made(options) : await signed(options));
        for (const name of ["password", "code"]) if (form.elements[name]) form.elements[name].disabled = true;
        form.submit();
      } catch (error) { say(form, error); }
    });
  }

  // A button beside the field of a code: a passkey stands in for it.
  for (const button of document.querySelectorAll("button[data-passkey-proof]")) {
    button.addEventListener("click", async () => {
      const form = button.form;
      try {
        const csrf = new URLSearchParams({ csrf: form.elements.csrf.value });
        const options = await ask("/account/passkeys/proof/options", form, ["csrf"]);
        for (const [name, value] of Object.entries(await signed(options))) csrf.set(name, value);
        const answer = await fetch("/account/passkeys/proof", { method: "POST", body: csrf });
        if (!answer.ok) throw new Error("");
        form.elements.code.value = (await answer.json()).code;
        form.elements.code.dispatchEvent(new Event("change", { bubbles: true }));
      } catch (error) { say(form, error); }
    });
  }

  for (const part of document.querySelectorAll("[data-passkeys]")) part.hidden = false;
})();
