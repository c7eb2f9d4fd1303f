/* Sagapost widget. It holds no credentials: it talks to the server of the page that loads it. */
(() => {
  "use strict";
  const settings = __SETTINGS__;

  class SagapostWidget extends HTMLElement {
    connectedCallback() {
      this.root = this.shadowRoot || this.attachShadow({ mode: "open" });
      this.root.replaceChildren(this.#style(), this.#form(), this.#output());
      if (settings.fields.length === 0) {
        this.#ask("GET");
      }
    }

    #style() {
      const style = document.createElement("style");
      style.textContent =
        `:host{display:block;font:inherit}label{display:block;margin:.5em 0}` +
        `input{display:block;width:100%;box-sizing:border-box}` +
        `button{background:${settings.accent};color:#fff;border:0;padding:.6em 1.2em}`;
      return style;
    }

    #form() {
      const form = document.createElement("form");
      for (const name of settings.fields) {
        const label = document.createElement("label");
        const input = document.createElement("input");
        label.textContent = name.replaceAll("_", " ");
        input.name = name;
        input.required = name !== "reference";
        input.value = this.getAttribute(name.replaceAll("_", "-")) || "";
        label.append(input);
        form.append(label);
      }
      const button = document.createElement("button");
      button.textContent = settings.fields.length ? "Continue" : "Refresh";
      form.append(button);
      // One key for one intention: pressing twice is asking once.
      const key = crypto.randomUUID();
      form.addEventListener("submit", (submitted) => {
        submitted.preventDefault();
        if (settings.fields.length === 0) {
          this.#ask("GET");
        } else {
          this.#ask("POST", Object.fromEntries(new FormData(form)), key);
        }
      });
      return form;
    }

    #output() {
      this.output = document.createElement("output");
      this.output.setAttribute("role", "status");
      return this.output;
    }

    async #ask(method, body, key) {
      const headers = { Accept: "application/json" };
      if (body) {
        headers["Content-Type"] = "application/json";
        headers["Idempotency-Key"] = key;
      }
      this.output.textContent = "…";
      try {
        const answer = await fetch(settings.submitPath, {
          method,
          headers,
          body: body && JSON.stringify(body),
          credentials: "same-origin",
        });
        const told = await answer.json();
        this.output.textContent = told.message || told.state || String(answer.status);
        this.#tell(answer.ok ? "done" : "failed", told);
      } catch (error) {
        this.output.textContent = "It did not work. Please try again.";
        this.#tell("failed", { message: String(error) });
      }
    }

    #tell(what, detail) {
      this.dispatchEvent(new CustomEvent(`sagapost:${what}`, { detail, bubbles: true }));
    }
  }

  SagapostWidget.settings = Object.freeze(settings);
  if (!customElements.get(settings.tag)) {
    customElements.define(settings.tag, SagapostWidget);
  }
})();
