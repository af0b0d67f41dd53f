// The chart above the networks: all that there are to open.

const CHART_HEIGHT = 230;
const MARGIN = { top: 14, right: 18, bottom: 40, left: 58 };

class Chart {
  /** `choose(i)` opens network i. */
  constructor(root, content, choose) {
    this.root = root;
    this.networks = content.networks;
    this.content = content;
    this.choose = choose;
    this.chosen = [];
    this.svg = d3.select(root).append("svg").attr("height", CHART_HEIGHT);
    this.svg.attr("role", "group").attr("aria-label", this.title());
    this.svg.on("keydown", (event) => this.#move(event));
    this.scene = this.svg.append("g");
    this.marks = this.svg.append("g"); // stays as it is drawn anew, and with it the focus
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /**
   * What it shows, in words.
   *
   * @returns {string}
   */
  title() {
    throw new Error("every kind of chart has a title");
  }

  /** Paints it anew, in some width. */
  paint(/** @type {number} */ width) {
    throw new Error("every kind of chart paints itself");
  }

  mark(chosen) {
    this.chosen = chosen;
    this.draw();
  }

  draw() {
    const width = this.root.clientWidth;
    if (width === 0) return;
    this.svg.attr("width", width);
    this.scene.selectAll("*").remove();
    this.paint(width);
  }

  /** Axes with captions; `x` and `y` are scales. */
  axes(x, y, width, [below, beside], ticks) {
    const floor = CHART_HEIGHT - MARGIN.bottom;
    const marks =
      ticks ??
      d3
        .axisBottom(x)
        .tickValues(x.ticks(Math.min(12, width / 70)).filter(Number.isInteger)) // sizes are whole
        .tickFormat(d3.format("d"));
    const axis = this.scene.append("g").attr("class", "axis");
    axis.append("g").attr("transform", `translate(0, ${floor})`).call(marks);
    axis
      .append("g")
      .attr("transform", `translate(${MARGIN.left}, 0)`)
      .call(
        d3
          .axisLeft(y)
          .ticks(5)
          .tickSize(MARGIN.left + MARGIN.right - width)
          .tickFormat((v) => `${+(100 * v).toFixed(2)} %`),
      )
      .call((group) => group.select(".domain").remove());
    const caption = (text) => axis.append("text").attr("class", "caption").text(text);
    caption(below)
      .attr("x", (MARGIN.left + width - MARGIN.right) / 2)
      .attr("y", CHART_HEIGHT - 4);
    caption(beside).attr("transform", `translate(12, ${floor / 2}) rotate(-90)`);
  }

  /** One mark a network, to click or to reach by keyboard. */
  points(x, y) {
    this.marks
      .selectAll("g.point")
      .data(this.networks)
      .join((enter) => {
        const point = enter.append("g").attr("class", "point").attr("role", "button");
        point.append("circle").attr("class", "hit").attr("r", 11);
        point.append("circle").attr("class", "dot").attr("r", 5);
        point.append("title").text((network) => this.text(network));
        return point.attr("aria-label", (network) => this.text(network));
      })
      .on("click", (event, network) => this.choose(this.networks.indexOf(network)))
      .classed("chosen", (network) => this.chosen.includes(this.networks.indexOf(network)))
      .attr("aria-current", (network) =>
        this.chosen.includes(this.networks.indexOf(network)) ? "true" : null,
      )
      .attr("tabindex", (network) =>
        this.networks.indexOf(network) === (this.chosen.at(-1) ?? 0) ? 0 : -1,
      )
      .attr("transform", (network, i) => `translate(${x(network, i)}, ${y(network)})`);
  }

  text({ label, nonzeros, accuracy }) {
    return `${label}: ${nonzeros} nonzeros${accuracy === null ? "" : `, ${percent(accuracy)}`}`;
  }

  #move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const nodes = this.marks.selectAll("g.point").nodes();
    const here = nodes.indexOf(event.target.closest("g.point"));
    if (here < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(here);
    } else if (step && nodes[here + step]) {
      event.preventDefault();
      nodes[here].setAttribute("tabindex", -1);
      nodes[here + step].setAttribute("tabindex", 0);
      nodes[here + step].focus();
    }
  }
}

/** Accuracy against nonzeros, with the Pareto front. */
class ParetoChart extends Chart {
  title() {
    const { measure } = this.content;
    const name = measure[0].toUpperCase() + measure.slice(1);
    return `${name} against nonzero parameters: choose a network to open it`;
  }

  paint(width) {
    const { networks } = this;
    const { target } = this.content;
    const sizes = d3.extent(networks, ({ nonzeros }) => nonzeros);
    const accuracies = d3.extent([
      ...networks.map(({ accuracy }) => accuracy),
      ...(target === null ? [] : [target]),
    ]);
    const spare = Math.max(0.002, (accuracies[1] - accuracies[0]) * 0.08);
    const x = d3.scaleLinear([sizes[0] - 0.7, sizes[1] + 0.7], [MARGIN.left, width - MARGIN.right]);
    const y = d3.scaleLinear(
      [accuracies[0] - spare, Math.min(1.005, accuracies[1] + spare)],
      [CHART_HEIGHT - MARGIN.bottom, MARGIN.top],
    );
    this.axes(x, y, width, ["nonzero parameters", this.content.measure]);
    if (target !== null) {
      const line = this.scene
        .append("line")
        .attr("class", "target")
        .attr("y1", y(target))
        .attr("y2", y(target));
      line.attr("x1", MARGIN.left).attr("x2", width - MARGIN.right);
      const name = this.scene
        .append("text")
        .attr("class", "target")
        .attr("x", width - MARGIN.right)
        .attr("y", y(target) - 5);
      name.text(`target ${+(100 * target).toFixed(2)} %`);
    }
    const front = paretoFront(networks);
    const steps = d3
      .line(
        ({ nonzeros }) => x(nonzeros),
        ({ accuracy }) => y(accuracy),
      )
      .curve(d3.curveStepAfter);
    this.scene
      .append("path")
      .attr("class", "front")
      .attr("d", steps([...front, { ...front.at(-1), nonzeros: sizes[1] }]));
    this.points(
      ({ nonzeros }) => x(nonzeros),
      ({ accuracy }) => y(accuracy),
    );
    this.marks.selectAll("g.point").classed("best", (network) => front.includes(network));
  }
}

/** The networks that are more accurate than every smaller one, by ascending size. */
function paretoFront(networks) {
  const front = [];
  for (const network of d3.sort(
    networks,
    (a, b) => a.nonzeros - b.nonzeros || b.accuracy - a.accuracy,
  )) {
    if (front.length === 0 || network.accuracy > front.at(-1).accuracy) front.push(network);
  }
  return front;
}

/** A run, frame by frame: nonzeros as bars and, where there are data, accuracy as a line. */
class RunChart extends Chart {
  title() {
    return "The run, frame by frame: choose a frame to open it";
  }

  paint(width) {
    const { networks } = this;
    const x = d3
      .scalePoint(d3.range(networks.length), [MARGIN.left, width - MARGIN.right])
      .padding(0.5);
    const floor = CHART_HEIGHT - MARGIN.bottom;
    const height = d3.scaleLinear(
      [0, d3.max(networks, ({ nonzeros }) => nonzeros) || 1],
      [0, floor - MARGIN.top - 16],
    );
    const known = networks.every(({ accuracy }) => accuracy !== null);
    const [low, high] = known ? d3.extent(networks, ({ accuracy }) => accuracy) : [0, 1];
    const y = d3.scaleLinear(
      [Math.max(0, low - 0.05), Math.min(1.02, high + 0.05)],
      [floor - 24, MARGIN.top],
    );
    const names = networks.map(({ label }) => shortName(label));
    const room = Math.max(46, 7 * d3.max(names, (name) => name.length) + 14);
    const every = Math.ceil(networks.length / Math.max(2, Math.floor(width / room)));
    const ticks = d3
      .axisBottom(x)
      .tickValues(d3.range(0, networks.length, every))
      .tickFormat((i) => names[i]);
    if (known) this.axes(x, y, width, ["bars: nonzero parameters", "accuracy"], ticks);
    else this.#nameBars(ticks, floor);
    const bar = Math.max(2, Math.min(34, x.step() * 0.7));
    const bars = this.scene
      .append("g")
      .attr("class", "bars")
      .selectAll("g")
      .data(networks)
      .join("g");
    bars
      .append("rect")
      .attr("x", (_, i) => x(i) - bar / 2)
      .attr("width", bar)
      .attr("y", ({ nonzeros }) => floor - height(nonzeros))
      .attr("height", ({ nonzeros }) => height(nonzeros));
    if (bar >= 18) {
      bars
        .append("text")
        .attr("x", (_, i) => x(i))
        .attr("y", floor - 4)
        .text(({ nonzeros }) => number(nonzeros));
    }
    if (known) {
      const line = d3.line(
        (_, i) => x(i),
        ({ accuracy }) => y(accuracy),
      );
      this.scene.append("path").attr("class", "front").attr("d", line(networks));
    }
    const top = ({ nonzeros, accuracy }) => (known ? y(accuracy) : floor - height(nonzeros));
    this.points((_, i) => x(i), top);
    this.marks.selectAll("g.point").classed("best", true);
  }

  /** The axis of frames alone, where there is no accuracy to show. */
  #nameBars(ticks, floor) {
    const axis = this.scene.append("g").attr("class", "axis");
    axis.append("g").attr("transform", `translate(0, ${floor})`).call(ticks);
  }
}

/** A label, cut where it would take more room than an axis has. */
function shortName(label) {
  return label.length > 18 ? `${label.slice(0, 17)}…` : label;
}
