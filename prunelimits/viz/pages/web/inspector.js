// A unit's parameters as a table of ordinary form fields, for exact values and for every reader.

const MOST_ROWS = 64; // with more sources, those that are kept

class Inspector {
  constructor(root, view) {
    this.root = d3.select(root);
    this.view = view;
    this.rows = this.root.select("tbody");
    this.chosen = null;
  }

  /** Shows the parameters of a unit; null: an invitation to choose one. */
  show(chosen) {
    this.chosen = chosen && chosen.layer > 0 ? chosen : null;
    this.root.classed("empty", this.chosen === null);
    if (this.chosen) this.refresh();
  }

  refresh() {
    if (!this.chosen) return;
    const { network, reach } = this.view;
    const { layer, unit } = this.chosen;
    this.root.select("h3").text(unitText(network, reach, layer, unit));
    let sources = d3.range(network.widths[layer - 1]);
    if (sources.length > MOST_ROWS) {
      sources = sources.filter((source) => network.alive(network.weight(layer, unit, source)));
    }
    const indices = [
      network.bias(layer, unit),
      ...sources.map((s) => network.weight(layer, unit, s)),
    ];
    const row = this.rows
      .selectAll("tr")
      .data(indices, (index) => index)
      .join((enter) => this.#add(enter));
    row.select("th").text((index) => this.#name(index));
    row.select("code").text((index) => network.address(index));
    row.select("input[type=checkbox]").property("checked", (index) => network.kept[index] === 1);
    row.select("input[type=number]").each(function (index) {
      // What is being typed stays as it is.
      const field = /** @type {HTMLInputElement} */ (/** @type {unknown} */ (this));
      if (document.activeElement !== field) field.value = String(shortest(network.values[index]));
    });
    row.attr("data-state", (index) => reach.parameter(index));
    row.select(".state").text((index) => STATES[reach.parameter(index)]);
  }

  #add(enter) {
    const { view } = this;
    const row = enter.append("tr");
    row.append("th").attr("scope", "row");
    const kept = row.append("td").append("input").attr("type", "checkbox");
    kept
      .attr("aria-label", (index) => `keep ${parameterName(view.network, index)}`)
      .on("change", (event, index) => {
        const value = view.network.values[index];
        view.change([{ index, value, kept: event.target.checked ? 1 : 0 }]);
      });
    const value = row.append("td").append("input").attr("type", "number").attr("step", "any");
    value
      .attr("aria-label", (index) => parameterName(view.network, index))
      .on("change", (event, index) => {
        const typed = Math.fround(event.target.valueAsNumber);
        if (!Number.isFinite(typed)) {
          event.target.value = shortest(view.network.values[index]);
          view.page.say("A parameter must be a finite number.");
          return;
        }
        view.change([{ index, value: typed, kept: 1 }]);
      });
    row.append("td").attr("class", "state");
    row.append("td").append("code");
    return row;
  }

  #name(index) {
    const { network } = this.view;
    const { layer, source } = network.place(index);
    return source === BIAS ? "bias" : `from ${unitName(network, layer - 1, source)}`;
  }
}
