// Loss, accuracy and weights over the epochs, as small lines.

const MOST_KEPT = 4000; // points of a curve
const CURVE = { width: 230, height: 84, left: 48, right: 6, top: 6, bottom: 16 };

class Curve {
  /**
   * @param {string} id of the SVG
   * @param {(point: object) => (number|null)[]} read the values of a point, one a line
   * @param {(value: number) => string} format
   * @param {[number, number]|null} range null: as the values need it
   */
  constructor(id, read, format, range) {
    this.read = read;
    this.format = format;
    this.range = range;
    const { width, height } = CURVE;
    this.svg = d3.select(`#${id}`).attr("viewBox", `0 0 ${width} ${height}`);
  }

  draw(points) {
    const { width, height, left, right, top, bottom } = CURVE;
    const rows = points.map(({ epoch, ...point }) => ({ epoch, values: this.read(point) }));
    const values = rows.flatMap((row) => row.values).filter((value) => Number.isFinite(value));
    const [least, most] = this.range ?? [0, d3.max(values) || 1];
    const x = d3.scaleLinear([0, Math.max(1, rows.at(-1).epoch)], [left, width - right]);
    const y = d3.scaleLinear([least, most], [height - bottom, top]);
    const path = (line) =>
      d3
        .line()
        .defined(({ values: row }) => Number.isFinite(row[line]))
        .x(({ epoch }) => x(epoch))
        .y(({ values: row }) => y(row[line]))(thinned(rows, width));
    this.svg
      .selectAll("path")
      .data(["training", "testing"].slice(0, rows[0].values.length))
      .join("path")
      .attr("class", (name) => `curve ${name}`)
      .attr("d", (_, line) => path(line));
    const marks = [
      [left - 4, top + 4, "end", this.format(most)],
      [left - 4, height - bottom, "end", this.format(least)],
      [left, height - 3, "start", "epoch 0"],
      [width - right, height - 3, "end", number(x.domain()[1])],
    ];
    this.svg
      .selectAll("text")
      .data(marks)
      .join("text")
      .attr("x", ([at]) => at)
      .attr("y", ([, at]) => at)
      .attr("text-anchor", ([, , anchor]) => anchor)
      .text(([, , , text]) => text);
    this.svg
      .selectAll("line")
      .data([y(least), y(most)])
      .join("line")
      .attr("x1", left)
      .attr("x2", width - right)
      .attr("y1", (at) => at)
      .attr("y2", (at) => at);
    const last = rows.at(-1).values.filter(Number.isFinite).map(this.format).join(" and ");
    this.svg.attr("aria-label", `At epoch ${number(rows.at(-1).epoch)}: ${last}`);
  }
}

/** At most so many rows, evenly, the last among them. */
function thinned(rows, most) {
  const step = Math.ceil(rows.length / most);
  return step === 1 ? rows : rows.filter((_, i) => i % step === 0 || i === rows.length - 1);
}

class Curves {
  constructor() {
    const both = (name) => (point) => [point.train[name], point.test?.[name] ?? null];
    this.all = [
      new Curve("loss-curve", both("loss"), (value) => value.toPrecision(2), null),
      new Curve("accuracy-curve", both("accuracy"), (value) => `${Math.round(100 * value)} %`, [0, 1]),
      new Curve("weights-curve", ({ weights }) => [weights], number, null),
    ];
    this.clear();
  }

  clear() {
    this.points = [];
  }

  /** `later`: not to be drawn yet. */
  add(points, later) {
    this.points.push(...points);
    // However long it trains, the page stays as large as it is.
    if (this.points.length > MOST_KEPT) this.points = thinned(this.points, MOST_KEPT / 2);
    if (this.points.length === 0 || later) return;
    for (const curve of this.all) curve.draw(this.points);
  }
}
