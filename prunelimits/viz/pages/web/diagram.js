// The drawing of a network: units as squares, weights as curves, biases as chips.

class Diagram {
  /** `view` is asked to `look`, `select` and `unfold`, and by parameters as edges.js and grip.js say. */
  constructor(root, view) {
    this.root = d3.select(root);
    this.view = view;
    this.svg = this.root.select("svg");
    this.unitsHere = this.root.select(".units");
    this.grip = new Grip(view);
    this.edges = new Edges(this.svg, view, this.grip);
    this.edgeCanvas = new EdgeCanvas(this.root.select("canvas.many").node());
    this.unitFocus = new RovingFocus("0 0");
    this.unitsHere.on("keydown", (event) => this.#moveAmongUnits(event));
  }

  /** The size of the largest weight when it was built. */
  get largest() {
    return this.edges.largest;
  }

  /** Draws the structure anew; `columns` and `placement` come from layout.js. */
  build(network, columns, placement, isDrawn) {
    this.network = network;
    this.columns = columns;
    this.placement = placement;
    this.root.style("height", `${placement.height}px`);
    this.svg.attr("width", placement.width).attr("height", placement.height);
    this.edges.build(network, columns, placement, isDrawn);
    this.#buildUnits();
    this.#buildChips();
    this.#buildCaptions();
    this.#buildFolds();
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
      .each(function ({ layer, unit }) {
        const { x, y, side } = placement.squares[layer].get(unit);
        placeSquare(this, x - side / 2, y - side / 2, side);
      });
    this.unitFocus.among(this.units);
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
        return chip.attr("tabindex", -1).call((added) => this.grip.listen(added));
      })
      .attr("id", ({ layer, unit }) => `${view.id}-bias-${layer}-${unit}`)
      .each(function ({ layer, unit }) {
        const square = placement.squares[layer].get(unit);
        placeSquare(this, square.x - side / 2, square.y - square.side / 2 - side / 2, side);
      });
    let largest = 0;
    for (const { index } of chips) largest = Math.max(largest, Math.abs(network.effect(index)));
    this.largestBias = largest || 1;
  }

  #buildCaptions() {
    const { network, placement } = this;
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
  }

  #buildFolds() {
    const { network, placement, view } = this;
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

  /**
   * Shows the parameters as they are now; what they are called can wait while they move. `swift`:
   * weights on the canvas, where they are many and more changes are to come.
   */
  restyle(reach, moving = false, swift = false) {
    const { network, largestBias, edges } = this;
    this.root.classed("swift", swift);
    if (swift) this.edgeCanvas.draw(edges, reach, this.placement, this.view.inSight);
    else edges.restyle(reach, moving);
    this.units.each(function ({ layer, unit }) {
      const unused = layer === 0 && !reach.reaches[0][unit];
      mark(this, "data-state", unused ? "cut" : reach.unit(layer, unit));
      if (!moving) this.setAttribute("aria-label", unitText(network, reach, layer, unit));
    });
    this.chips.each(function ({ index }) {
      mark(this, "data-state", reach.parameter(index));
      this.style.backgroundColor = palette.colour(network.effect(index) / largestBias);
      if (!moving) this.setAttribute("aria-label", parameterText(network, reach, index));
    });
  }

  /** Everything is to be written anew, in other colours. */
  forget() {
    this.edges.shown.clear();
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
    this.edges.light(layer, unit);
  }

  /** Marks the unit that is chosen; null: none. */
  mark(chosen) {
    this.units.attr("aria-current", ({ layer, unit }) => {
      return chosen && layer === chosen.layer && unit === chosen.unit ? "true" : null;
    });
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
    this.unitFocus.go(target);
  }
}

/** Puts a square element somewhere in the drawing. */
function placeSquare(element, left, top, side) {
  const { style } = element;
  [style.left, style.top] = [`${left}px`, `${top}px`];
  [style.width, style.height] = [`${side}px`, `${side}px`];
}
