// The data that networks are judged by.

class Data {
  /** `inputs`: one Float32Array an input; `labels`: the class of every point. */
  constructor(inputs, labels) {
    this.inputs = inputs;
    this.labels = labels;
    this.size = labels.length;
  }

  /** From the page's content: the inputs lie point by point there. */
  static decode({ x, y, inputs }) {
    const flat = new Float32Array(bytesOf(x).buffer);
    const labels = new Uint16Array(bytesOf(y).buffer);
    const columns = Array.from({ length: inputs }, () => new Float32Array(labels.length));
    columns.forEach((column, input) => {
      for (let point = 0; point < column.length; point++)
        column[point] = flat[point * inputs + input];
    });
    return new Data(columns, labels);
  }

  /** Every `step`th point. */
  thinned(step) {
    if (step <= 1) return this;
    const chosen = d3.range(0, this.size, step);
    return this.#choose(chosen);
  }

  /** At most `count` points, as many of each class as there are in all, evenly. */
  sample(count) {
    if (this.size <= count) return this;
    // In the order of the classes: an even stride through alternating ones would drop one.
    const order = d3.range(this.size).sort((a, b) => this.labels[a] - this.labels[b] || a - b);
    const step = (this.size - 1) / (count - 1);
    return this.#choose(d3.range(count).map((i) => order[Math.round(i * step)]));
  }

  part(start, end) {
    return new Data(
      this.inputs.map((input) => input.subarray(start, end)),
      this.labels.subarray(start, end),
    );
  }

  #choose(points) {
    return new Data(
      this.inputs.map((input) => Float32Array.from(points, (point) => input[point])),
      Uint16Array.from(points, (point) => this.labels[point]),
    );
  }
}
