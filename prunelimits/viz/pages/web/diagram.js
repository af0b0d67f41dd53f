// The drawing of a network: units as squares, weights as curves, biases as chips.

const MOST_EDGES = 3000; // beyond this many, the largest weights
const MOST_HALOS = 500; // edges with a rim that parts them where they cross
const CROWDED = 150; // edges from which small weights are drawn faint
const CLICK_DISTANCE = 4;
const DRAG_DISTANCE = 150; // in pixels, what changes a weight by the largest weight

class Diagram {
  /** `view` is asked to `prune`, `drag`, `drop`, `look` and `select`. */
  constructor(root, view) {
    this.root = d3.select(root);
    this.view = view;
    this.svg = this.root.select("svg");
    this.unitsHere = this.root.select(".units");
    this.here = { unit: "0 0", edge: null }; // where Tab enters the units and the edges
    this.unitsHere.on("keydown", (event) => this.#moveAmongUnits(event));
    this.svg.on("keydown", (event) => this.#moveAmongEdges(event));
  }

  /** Draws the structure anew; `columns` and `placement` come from layout.js. */
  build(network, columns, placement, isDrawn) {
    this.network = network;
    this.columns = columns;
    this.placement = placement;
    this.largest = network.largestWeight();
    this.root.style("height", `${placement.height}px`);
    this.svg.attr("width", placement.width).attr("height", placement.height);
    this.#buildEdges(isDrawn);
    this.#buildUnits();
    this.#buildChips();
    this.#buildCaptions();
  }

  #buildEdges(isDrawn) {
    const { network, placement } = this;
    const drawn = this.columns.map(({ units }) => new Set(units));
    let edges = [];
    network.eachWeight((index, layer, unit, source) => {
      if (!drawn[layer].has(unit) || !drawn[layer - 1].has(source) || !isDrawn(index)) return;
      edges.push({ index, layer, unit, source, key: `edge ${index}` });
    });
    this.hidden = Math.max(0, edges.length - MOST_EDGES);
    const size = (edge) => Math.abs(network.effect(edge.index));
    // Large weights over small ones, in the order of drawing.
    edges = d3.sort(edges, size).slice(-MOST_EDGES);
    const curves = edgeCurves(edges, placement.squares);
    edges.forEach((edge, i) => (edge.curve = curves[i]));
    const rimmed = edges.length <= MOST_HALOS;
    this.edges = this.svg
      .select(".edges")
      .selectAll("g")
      .data(edges, (edge) => edge.key)
      .join((enter) => {
        const group = enter.append("g").attr("class", "edge").attr("role", "button");
        group.append("path").attr("class", "rim");
        group.append("path").attr("class", "line");
        group.append("path").attr("class", "hit");
        return group.call((added) => this.#listen(added));
      })
      .order()
      .attr("id", ({ layer, unit, source }) => `${this.view.id}-edge-${layer}-${unit}-${source}`)
      .attr("tabindex", -1);
    for (const part of ["rim", "line", "hit"]) {
      this.edges
        .select(`.${part}`)
        .attr("d", part === "rim" && !rimmed ? null : (edge) => edge.curve);
    }
    this.shown = new Map(); // what each edge shows, so that only changes are written
    this.#enterAt("edge", this.edges);
  }

  /** What parameters do under pointer and keyboard: chips and edges alike. */
  #listen(parts) {
    const { view } = this;
    const drag = d3
      .drag()
      .clickDistance(CLICK_DISTANCE)
      .on("start", (event, { index }) => {
        const { values, kept } = view.network;
        const before = { value: values[index], kept: kept[index] };
        this.grip = { before, y: event.y, moved: false };
      })
      .on("drag", (event, { index }) => {
        const { grip } = this;
        if (!grip.moved && Math.abs(event.y - grip.y) < CLICK_DISTANCE) return;
        grip.moved = true;
        const fine = event.sourceEvent.shiftKey ? 0.1 : 1;
        const change = (fine * (grip.y - event.y) * this.largest) / DRAG_DISTANCE;
        view.drag(index, Math.fround(grip.before.value + change));
        view.page.tip(event.sourceEvent, parameterText(view.network, view.reach, index));
      })
      .on("end", (event, { index }) => {
        if (this.grip.moved) view.drop(index, this.grip.before);
      });
    parts
      .call(drag)
      .on("click", (event, { index }) => view.prune(index))
      .on("pointerenter pointermove", (event, { index }) => {
        if (this.grip?.moved && event.buttons) return;
        view.page.tip(
          event,
          `${parameterText(view.network, view.reach, index)}. Click to ${
            view.network.alive(index) ? "prune it" : "bring it back"
          }, drag up or down to change it.`,
        );
      })
      .on("pointerleave", () => view.page.tip(null));
  }

  #buildUnits() {
    const { view, placement, columns } = this;
    const units = columns
      .flatMap(({ units: drawn }, layer) => {
        return drawn.map((unit) => ({ layer, unit, key: `${layer} ${unit}` }));
      })
      .filter(({ layer }) => layer < placement.centres.length);
    this.units = this.unitsHere
      .selectAll("button.unit")
      .data(units, ({ key }) => key)
      .join((enter) => {
        const unit = enter.append("button").attr("type", "button").attr("class", "unit");
        unit.append("canvas");
        return unit
          .on("click", (event, { layer, unit: chosen }) => view.select(layer, chosen))
          .on("pointerenter focus", (event, { layer, unit: seen }) => view.look(layer, seen))
          .on("pointerleave blur", () => view.look(null));
      })
      .order()
      .attr("id", ({ layer, unit }) => `${view.id}-unit-${layer}-${unit}`)
      .attr("tabindex", -1)
      .each(function ({ layer, unit }) {
        const { x, y, side } = placement.squares[layer].get(unit);
        d3.select(this)
          .style("left", `${x - side / 2}px`)
          .style("top", `${y - side / 2}px`)
          .style("width", `${side}px`)
          .style("height", `${side}px`);
      });
    this.#enterAt("unit", this.units);
  }

  #buildChips() {
    const { network, placement, view } = this;
    const chips = this.columns.flatMap(({ units }, layer) => {
      if (layer === 0) return [];
      return units.map((unit) => ({ layer, unit, index: network.bias(layer, unit) }));
    });
    const side = Math.max(11, Math.min(20, placement.side * 0.28));
    this.chips = this.unitsHere
      .selectAll("button.chip")
      .data(chips, ({ index }) => index)
      .join((enter) => {
        const chip = enter.append("button").attr("type", "button").attr("class", "chip");
        return chip.attr("tabindex", -1).call((added) => this.#listen(added));
      })
      .attr("id", ({ layer, unit }) => `${view.id}-bias-${layer}-${unit}`)
      .each(function ({ layer, unit }) {
        const square = placement.squares[layer].get(unit);
        d3.select(this)
          .style("left", `${square.x - side / 2}px`)
          .style("top", `${square.y - square.side / 2 - side / 2}px`)
          .style("width", `${side}px`)
          .style("height", `${side}px`);
      });
    let largest = 0;
    for (const { index } of chips) largest = Math.max(largest, Math.abs(network.effect(index)));
    this.largestBias = largest || 1;
  }

  #buildCaptions() {
    const { network, placement, view } = this;
    const captions = placement.centres.map((x, layer) => ({ x, text: columnName(network, layer) }));
    this.svg
      .select(".captions")
      .selectAll("text")
      .data(captions)
      .join("text")
      .attr("x", ({ x }) => x)
      .attr("y", placement.floor + 28)
      .text(({ text }) => text);
    this.svg
      .select(".inputs")
      .selectAll("text")
      .data([...placement.squares[0]])
      .join("text")
      .attr("x", ([, { x, side }]) => x - side / 2 - 7)
      .attr("y", ([, { y }]) => y)
      .text(([unit]) => inputName(network, unit));
    this.unitsHere
      .selectAll("button.fold")
      .data(placement.folds.filter(({ folded }) => folded))
      .join("button")
      .attr("class", "fold")
      .attr("type", "button")
      .style("left", ({ x }) => `${x}px`)
      .style("top", ({ y }) => `${y}px`)
      .attr(
        "aria-label",
        ({ folded, layer }) => `Show ${folded} more units of ${columnName(network, layer)}`,
      )
      .text(({ folded }) => `+ ${number(folded)}`)
      .on("click", (event, { layer }) => view.unfold(layer));
  }

  /** Shows the parameters as they are now; what they are called can wait while they move. */
  restyle(reach, moving = false) {
    const { network, shown, largest, largestBias } = this;
    const widest = Math.min(8, this.placement.side * 0.13);
    const crowded = this.edges.size() > CROWDED;
    const { least } = this.view;
    this.edges.each(function (edge) {
      const value = network.values[edge.index];
      const state = reach.parameter(edge.index);
      const small = state !== "pruned" && Math.abs(value) < least * largest;
      const look = `${value} ${state} ${moving} ${small}`;
      if (shown.get(edge.index) === look) return;
      shown.set(edge.index, look);
      const share = state === "pruned" ? 0 : Math.min(1.4, Math.abs(value) / largest);
      const width = 1.2 + (state === "cut" ? 3 : widest) * share;
      this.dataset.state = state;
      this.toggleAttribute("data-small", small);
      this.dataset.sign = value < 0 ? "negative" : "positive";
      if (!moving) {
        this.setAttribute("aria-label", parameterText(network, reach, edge.index));
        this.setAttribute("aria-pressed", String(state !== "pruned"));
      }
      this.children[0].setAttribute("stroke-width", width + 2.5);
      this.children[1].setAttribute("stroke-width", width);
      // Among many, the small ones step back.
      if (crowded) this.children[1].setAttribute("stroke-opacity", Math.min(1, 0.15 + share));
      else this.children[1].removeAttribute("stroke-opacity");
    });
    this.units.each(function ({ layer, unit }) {
      this.dataset.state = layer === 0 && !reach.reaches[0][unit] ? "cut" : reach.unit(layer, unit);
      if (!moving) this.setAttribute("aria-label", unitText(network, reach, layer, unit));
    });
    this.chips.each(function ({ index }) {
      this.dataset.state = reach.parameter(index);
      this.style.backgroundColor = palette.colour(network.effect(index) / largestBias);
      if (!moving) this.setAttribute("aria-label", parameterText(network, reach, index));
    });
  }

  /** What is not shown, in words. */
  note() {
    const small = this.edges.nodes().filter((edge) => edge.hasAttribute("data-small")).length;
    const parts = [];
    if (this.hidden > 0) {
      const most = number(MOST_EDGES);
      parts.push(`The ${most} largest weights are drawn, ${number(this.hidden)} are not.`);
    }
    if (small > 0) parts.push(`${number(small)} small weights are hidden.`);
    return parts.join(" ");
  }

  /** Paints every unit, or those that `changed`; `paint(canvas, layer, unit)` knows how. */
  paint(paint, changed) {
    this.units.each(function ({ layer, unit }) {
      if (changed === null || changed[layer].has(unit)) paint(this.firstChild, layer, unit);
    });
  }

  /** Lights the edges of a unit; null: all of them. */
  light(layer, unit) {
    this.root.classed("dimmed", layer !== null);
    this.edges.classed("lit", (edge) => {
      return (
        (edge.layer === layer && edge.unit === unit) ||
        (edge.layer - 1 === layer && edge.source === unit)
      );
    });
  }

  /** Marks the unit that is chosen; null: none. */
  mark(chosen) {
    this.units.attr("aria-current", ({ layer, unit }) => {
      return chosen && layer === chosen.layer && unit === chosen.unit ? "true" : null;
    });
  }

  #enterAt(kind, parts) {
    const nodes = parts.nodes();
    const key = (node) => d3.select(node).datum().key;
    const entry = nodes.find((node) => key(node) === this.here[kind]) ?? nodes[0];
    if (entry) entry.tabIndex = 0;
  }

  #focus(kind, parts, node) {
    parts.attr("tabindex", -1);
    node.tabIndex = 0;
    node.focus();
    this.here[kind] = d3.select(node).datum().key;
  }

  #moveAmongUnits(event) {
    const node = event.target.closest("button.unit");
    const across = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    if (!node || (!across && !down)) return;
    event.preventDefault();
    const here = d3.select(node).datum();
    const layer = here.layer + across;
    const column = this.units.nodes().filter((other) => d3.select(other).datum().layer === layer);
    const middle = (other) => other.offsetTop + other.offsetHeight / 2;
    const target = down
      ? column[column.indexOf(node) + down]
      : d3.least(column, (other) => Math.abs(middle(other) - middle(node)));
    if (target) this.#focus("unit", this.units, target);
  }

  #moveAmongEdges(event) {
    const node = event.target.closest("g.edge");
    if (!node) return;
    const { index } = d3.select(node).datum();
    // In the order of a reader, not of drawing.
    const nodes = d3.sort(this.edges.nodes(), (other) => d3.select(other).datum().index);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const target = nodes[nodes.indexOf(node) + step];
      if (target) this.#focus("edge", this.edges, target);
    } else if (event.key === "Enter" || event.key === " " || event.key === "Delete") {
      this.view.prune(index);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      const change = ((event.key === "-" ? -1 : 1) * this.largest) / 50;
      this.view.change([
        { index, kept: 1, value: Math.fround(this.network.values[index] + change) },
      ]);
    } else {
      return;
    }
    event.preventDefault();
  }
}
