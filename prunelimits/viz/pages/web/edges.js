// The weights of a network as curves, to look at and to touch.

const MOST_EDGES = 3000; // beyond this many, the largest weights
const MOST_HALOS = 500; // edges with a rim that parts them where they cross
const CROWDED = 150; // edges from which small weights are drawn faint

class Edges {
  /** `view` is asked to `prune` and `change`; `grip` listens to the pointer. */
  constructor(svg, view, grip) {
    this.svg = svg;
    this.view = view;
    this.grip = grip;
    this.focus = new RovingFocus();
    this.groups = svg.select(".edges").selectAll("g");
    this.shown = new Map(); // what each edge shows, so that only changes are written
    this.hidden = 0; // how many are not drawn
    svg.on("keydown", (event) => this.#key(event));
  }

  get size() {
    return this.groups.size();
  }

  /** Whether they are so many that small ones step back. */
  get crowded() {
    return this.size > CROWDED;
  }

  /** Draws the weights between units that are drawn, where `isDrawn(index)`. */
  build(network, columns, placement, isDrawn) {
    this.network = network;
    this.measure();
    this.widest = Math.min(8, placement.side * 0.13);
    const edges = this.#chosen(columns, isDrawn);
    placeEdges(edges, placement.squares);
    const rimmed = edges.length <= MOST_HALOS;
    this.groups = this.svg
      .select(".edges")
      .selectAll("g")
      .data(edges, ({ key }) => key)
      .join((enter) => {
        const group = enter.append("g").attr("class", "edge").attr("role", "button");
        for (const part of ["rim", "line", "hit"]) group.append("path").attr("class", part);
        return group.call((added) => this.grip.listen(added));
      })
      .order()
      .attr("id", ({ layer, unit, source }) => `${this.view.id}-edge-${layer}-${unit}-${source}`);
    for (const part of ["rim", "line", "hit"]) {
      this.groups
        .select(`.${part}`)
        .attr("d", part === "rim" && !rimmed ? null : (edge) => edge.curve);
    }
    this.shown.clear();
    this.focus.among(this.groups);
  }

  /** Large weights over small ones, in the order of drawing. */
  #chosen(columns, isDrawn) {
    const { network } = this;
    const drawn = columns.map(({ units }) => new Set(units));
    const edges = [];
    network.eachWeight((index, layer, unit, source) => {
      if (!drawn[layer].has(unit) || !drawn[layer - 1].has(source) || !isDrawn(index)) return;
      edges.push({ index, layer, unit, source, key: `edge ${index}` });
    });
    this.hidden = Math.max(0, edges.length - MOST_EDGES);
    return d3.sort(edges, ({ index }) => Math.abs(network.effect(index))).slice(-MOST_EDGES);
  }

  /** Widths are from now on beside the largest weight that there is now. */
  measure() {
    this.largest = this.network.largestWeight();
  }

  /** How an edge looks as its parameter is now. */
  lookOf(index, reach) {
    const { crowded, largest, network } = this;
    const value = network.values[index];
    const state = reach.parameter(index);
    const small = state !== "pruned" && Math.abs(value) < this.view.least * largest;
    const share = state === "pruned" ? 0 : Math.min(1.4, Math.abs(value) / largest);
    const width = 1.2 + (state === "cut" ? 3 : this.widest) * share;
    // Among many, the small ones step back.
    const opacity = crowded ? Math.min(1, 0.15 + share) : 1;
    return { state, small, width, opacity, negative: value < 0 };
  }

  /** Shows the weights as they are now; what they are called can wait while they move. */
  restyle(reach, moving) {
    const { network, shown } = this;
    this.groups.each((edge, i, groups) => {
      const { index } = edge;
      const { state, small, width, opacity, negative } = this.lookOf(index, reach);
      const look = `${network.values[index]} ${width} ${state} ${moving} ${small}`;
      if (shown.get(index) === look) return;
      shown.set(index, look);
      const group = groups[i];
      group.dataset.state = state;
      group.toggleAttribute("data-small", small);
      group.dataset.sign = negative ? "negative" : "positive";
      if (!moving) {
        group.setAttribute("aria-label", parameterText(network, reach, index));
        group.setAttribute("aria-pressed", String(state !== "pruned"));
      }
      const [rim, line] = group.children;
      rim.setAttribute("stroke-width", width + 2.5);
      line.setAttribute("stroke-width", width);
      if (opacity < 1) line.setAttribute("stroke-opacity", opacity);
      else line.removeAttribute("stroke-opacity");
    });
  }

  /** What is not shown, in words. */
  note(reach) {
    const parts = [];
    if (this.hidden > 0) {
      const most = number(MOST_EDGES);
      parts.push(`The ${most} largest weights are drawn, ${number(this.hidden)} are not.`);
    }
    const small = this.view.least > 0 ? d3.sum(this.groups.data(), ({ index }) => this.lookOf(index, reach).small) : 0;
    if (small > 0) parts.push(`${number(small)} small weights are hidden.`);
    return parts.join(" ");
  }

  /** Lights the edges of a unit; null: none more than others. */
  light(layer, unit) {
    const lit = (edge) => touches(edge, layer, unit);
    this.groups.classed("lit", lit);
  }

  #key(event) {
    const node = event.target.closest("g.edge");
    if (!node) return;
    const { index } = d3.select(node).datum();
    // In the order of a reader, not of drawing.
    const nodes = d3.sort(this.groups.nodes(), (other) => d3.select(other).datum().index);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      this.focus.go(nodes[nodes.indexOf(node) + step]);
    } else if (event.key === "Enter" || event.key === " " || event.key === "Delete") {
      this.view.prune(index);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      const change = ((event.key === "-" ? -1 : 1) * this.largest) / 50;
      const value = Math.fround(this.network.values[index] + change);
      this.view.change([{ index, kept: 1, value }]);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** Whether an edge leaves or reaches a unit. */
function touches(edge, layer, unit) {
  return (
    (edge.layer === layer && edge.unit === unit) ||
    (edge.layer - 1 === layer && edge.source === unit)
  );
}
