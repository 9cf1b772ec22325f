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
    const kind = data.what ?? data.op ?? data.why ?? data.producer?.split("#")[0];
    const methods = this.methods[`${name} ${kind}`] ?? this.methods[name] ?? [];
    if (methods === this.shown) return;
    this.shown = methods;
    this.title.textContent = methods.map((method) => method.name).join(", or ");
    const places = methods.filter((method) => method.line).map((method) => `${method.file}, line ${method.line}`);
    this.where.textContent = places.join("; ");
    const source = methods.filter((method) => method.source).flatMap((method) => [...listed(method), "\n"]);
    this.code.replaceChildren(...(source.length ? source : ["This event is not a method of the channel."]));
  }
}

function listed({ source, line }) {
  return source.trimEnd().split("\n").flatMap((text, at) => [
    element("span", { class: "number", "aria-hidden": "true" }, String(line + at).padStart(4)),
    `  ${text}\n`,
  ]);
}
