// The large picture: the decision with the data on it, or what one unit answers.

const MOST_POINTS = 2000;
const SHEET = 1200; // pixels along a side on paper
const SHADE = "0.5"; // the opacity of the decision, under its points

class Region {
  constructor(root, content) {
    this.root = root;
    this.content = content;
    this.plane = root.querySelector(".plane");
    this.shade = root.querySelector(".shade");
    this.marks = root.querySelector(".marks");
    this.dots = root.querySelector(".dots");
    this.caption = root.querySelector("figcaption");
    this.scale = root.querySelector(".scale");
    this.names = root.querySelector(".classes");
    this.points = content.data?.sample(MOST_POINTS) ?? null;
    this.answers =
      this.points && content.plane
        ? new Responses(featureColumns(this.points.inputs, content.features))
        : null;
  }

  /** Gives the picture another size, and draws the points, which do not change. */
  resize(side) {
    this.side = side;
    this.plane.style.width = `${side}px`;
    this.plane.style.height = `${side}px`;
    // Long names do not make the picture wider.
    this.names.style.maxWidth = `${side}px`;
    this.scale.style.maxWidth = `${side}px`;
    if (!this.answers) return;
    this.places = this.#placePoints();
    fitCanvas(this.dots, side);
    const context = this.dots.getContext("2d");
    for (const { x, y, colour } of this.places) {
      context.fillStyle = colour;
      context.fillRect(x - 1.8, y - 1.8, 3.6, 3.6);
    }
  }

  /** All layers as one: printers take the empty parts of a canvas for a white sheet. */
  flatten() {
    const sheet = this.root.querySelector(".sheet");
    const side = SHEET;
    sheet.width = side;
    sheet.height = side;
    const context = sheet.getContext("2d", { alpha: false });
    context.fillStyle = palette.zero;
    context.fillRect(0, 0, side, side);
    for (const layer of [this.shade, this.marks, this.dots]) {
      if (layer.hidden) continue;
      context.globalAlpha = Number(getComputedStyle(layer).opacity);
      context.drawImage(layer, 0, 0, side, side);
    }
  }

  /**
   * `looked`: the unit to show, null for the decision. `responses`: on the plane, or on the data
   * where there is no plane; `labels` are the classes of these data. `exact`: not as one of many
   * pictures a second, in which the points that are classified wrong are those of a moment ago.
   */
  paint(network, looked, responses, labels, exact = true) {
    this.looked = looked;
    this.boundary = null;
    this.#nameClasses(0);
    this.exact = exact;
    const decision = this.content.plane && looked === null;
    const opacity = decision ? SHADE : "";
    if (this.shade.style.opacity !== opacity) this.shade.style.opacity = opacity;
    this.dots.hidden = looked !== null || !this.answers;
    fitCanvas(this.marks, this.side);
    const context = this.marks.getContext("2d");
    if (!this.content.plane) this.#paintData(network, looked, responses, labels);
    else if (looked) this.#paintUnit(network, looked, responses);
    else this.#paintDecision(network, responses, context);
  }

  #paintDecision(network, responses, context) {
    const outputs = responses.values[network.last];
    if (outputs.length === 1) {
      paintDecision(this.shade, outputs[0]);
      this.boundary = this.#boundary(outputs[0]);
      this.#label("Decision region", [0, 1].map((label) => this.#className(label)));
    } else {
      paintClasses(this.shade, responses.classes(), outputs.length);
      this.#label("Decision region", null);
      this.#nameClasses(outputs.length);
    }
    if (this.boundary) {
      context.strokeStyle = palette.ink;
      context.lineWidth = 1.2;
      context.stroke(new Path2D(this.boundary));
    }
    if (this.answers) this.#markWrong(network, context);
  }

  /** Marks the points that are classified wrong, under the points themselves. */
  #markWrong(network, context) {
    if (this.exact || !this.wrong) {
      this.answers.refresh(network);
      const classes = this.answers.classes();
      const { labels } = this.points;
      this.wrong = this.places.map((_, point) => classes[point] !== labels[point]);
    }
    context.fillStyle = palette.ink;
    this.places.forEach(({ x, y }, point) => {
      if (this.wrong[point]) context.fillRect(x - 3.2, y - 3.2, 6.4, 6.4);
    });
  }

  /** Where the points are, in pixels, and their colours. */
  #placePoints() {
    const { inputs, labels } = this.points;
    const { extent, outputs } = this.content;
    const scale = this.side / (2 * extent);
    return d3.range(labels.length).map((point) => ({
      x: (inputs[0][point] + extent) * scale,
      y: (extent - inputs[1][point]) * scale,
      colour: palette.classColour(labels[point], Math.max(2, outputs)),
    }));
  }

  #paintUnit(network, { layer, unit }, responses) {
    const values = responses.values[layer][unit];
    paintValues(this.shade, values, scaleOf(values));
    const largest = d3.max(values, Math.abs);
    const name = unitName(network, layer, unit);
    this.#label(
      name.charAt(0).toUpperCase() + name.slice(1),
      largest > 0 ? [decimal(-largest), decimal(largest)] : null,
      largest > 0 ? "" : "zero everywhere here",
    );
  }

  #paintData(network, looked, responses, labels) {
    const classes = Math.max(2, this.content.outputs);
    if (!looked && this.content.outputs > 1) {
      paintConfusion(this.shade, responses.classes(), labels, this.#rows(classes), this.side);
      this.#label(
        "True class (row) and answer (column)",
        null,
        "counts, coloured by share of the row",
      );
      return;
    }
    const { layer, unit } = looked ?? { layer: network.last, unit: 0 };
    const values = responses.values[layer][unit];
    paintHistogram(this.shade, values, labels, classes, this.side);
    const name = unitName(network, layer, unit);
    const [low, high] = d3.extent(values);
    const zeros = values.reduce((count, value) => count + (value === 0), 0) / values.length;
    this.#nameClasses(classes);
    this.#label(
      `${name.charAt(0).toUpperCase()}${name.slice(1)} on the data`,
      null,
      `${decimal(low)} to ${decimal(high)}; ${percent(zeros)} zeros; heights are square roots`,
    );
  }

  /** The boundary between the two classes as an SVG path in pixels. */
  #boundary(logits) {
    const cells = Math.round(Math.sqrt(logits.length));
    const scale = this.side / cells;
    const stretch = d3.geoTransform({
      point(x, y) {
        this.stream.point(x * scale, y * scale);
      },
    });
    const low = d3.min(logits) <= 0;
    const high = d3.max(logits) > 0;
    if (!low || !high) return null;
    // An output of exactly zero is class 0, and the contour takes in what is not below its value.
    const contours = d3.contours().size([cells, cells]);
    return d3.geoPath(stretch)(contours.contour(logits, Number.MIN_VALUE));
  }

  /** What stands beside the rows of the table of answers: names where there are, else numbers. */
  #rows(count) {
    return d3.range(count).map((label) => this.content.classes?.[label] ?? String(label));
  }

  #className(label) {
    return className(this.content.classes, label);
  }

  #nameClasses(count) {
    const few = count <= CLASS_COLOURS.length ? d3.range(count) : [];
    const item = d3
      .select(this.names)
      .selectAll("li")
      .data(few)
      .join("li")
      .text((label) => this.#className(label));
    item.style("--colour", (label) => palette.classColour(label, count));
  }

  #label(title, ends, note = "") {
    write(this.caption, note ? `${title}: ${note}` : title);
    this.scale.hidden = ends === null;
    const [low, high] = ends ?? ["", ""];
    write(this.scale.firstElementChild, low);
    write(this.scale.lastElementChild, high);
    mark(this.plane, "aria-label", this.caption.textContent);
  }
}
