"""What moves in a report: its one script, with the policy that lets nothing else run."""

import base64
import hashlib

SCRIPT = """
"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const cards = all(".card");
  const units = all(".cards>.card,.pair").map((unit) => [unit, unit.textContent.toLowerCase()]);
  const find = document.querySelector(".find");
  if (find) {
    const input = find.querySelector("input"), said = find.querySelector("output");
    const apply = () => {
      const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
      for (const [unit, text] of units) unit.hidden = !words.every((word) => text.includes(word));
      const sheets = all(".sheet,.part");
      for (const sheet of sheets) sheet.hidden = false;
      for (const sheet of sheets) {
        const inside = all(".card", sheet);
        sheet.hidden = words.length > 0 && inside.every((card) => card.closest("[hidden]"));
      }
      const shown = cards.filter((card) => !card.closest("[hidden]")).length;
      said.textContent = words.length ? `${shown} of ${cards.length} pictures` : "";
    };
    find.hidden = false;
    input.addEventListener("input", apply);
    apply();
  }
  const box = document.createElement("dialog"), place = document.createElement("div");
  const turn = document.createElement("div");
  turn.className = "turn";
  box.setAttribute("aria-label", "Picture");
  box.append(place, turn);
  let at = 0;
  const show = (card, asked) => {
    const copy = card.cloneNode(true);
    copy.removeAttribute("id");
    const link = copy.querySelector(".thumb"), still = document.createElement("div");
    still.className = "thumb";
    still.append(...link.childNodes);
    link.replaceWith(still);
    for (const more of all("details", copy)) more.open = true;
    if (asked) copy.classList.remove("veiled");
    if (copy.classList.contains("veiled")) still.tabIndex = 0;
    place.replaceChildren(copy);
    at = cards.indexOf(card);
    if (!box.open) box.showModal();
  };
  const step = (by) => {
    for (let i = 1; i <= cards.length; i++) {
      const next = cards[(at + by * i + cards.length * i) % cards.length];
      if (!next.closest("[hidden]")) return show(next, false);
    }
  };
  for (const [name, act] of [["Previous", () => step(-1)], ["Next", () => step(1)], ["Close", () => box.close()]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", act);
    turn.append(button);
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });
  box.addEventListener("click", (event) => {
    if (event.target === box) box.close();
    if (event.target.closest(".thumb")) place.firstChild.classList.remove("veiled");
  });
  box.addEventListener("close", () => cards[at]?.querySelector(".thumb").focus());
  document.body.append(box);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.thumb");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.closest(".card"), true);
  });
})();
"""

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
    + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
"""The content security policy: no request leaves the page, and of all scripts only SCRIPT runs."""
