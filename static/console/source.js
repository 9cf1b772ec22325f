// The method that ran, with its source.
import { element } from "./dom.js";

export class Source {
  constructor(methods) {
    this.methods = methods;
    this.title = element("code", {});
    this.where = element("span", { class: "where" });
    this.code = element("pre", { tabindex: 0, "aria-label": "Source" });
    this.place = element(
      "section", { class: "source" },
      element("h2", {}, "The method that ran"), element("p", {}, this.title, " ", this.where), this.code,
    );
  }

  show({ name, data }) {
    const method = this.methods[`${name} ${data.what ?? data.op}`] ?? this.methods[name];
    if (method === this.shown && this.code.textContent) return;
    this.shown = method;
    this.title.textContent = method?.name ?? "";
    this.where.textContent = method?.line ? `${method.file}, line ${method.line}` : "";
    this.code.replaceChildren(...(method?.source ? listed(method) : ["This event is not a method of the channel."]));
  }
}

function listed({ source, line }) {
  return source.trimEnd().split("\n").flatMap((text, at) => [
    element("span", { class: "number", "aria-hidden": "true" }, String(line + at).padStart(4)),
    `  ${text}\n`,
  ]);
}
