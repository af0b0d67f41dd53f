// What every unit answers at a set of points, in float32 as PyTorch computes it.

class Responses {
  /** `inputs`: one Float32Array an input, a number a point. */
  constructor(inputs) {
    this.size = inputs[0].length;
    this.inputs = inputs;
    this.zeros = new Float32Array(this.size);
    this.values = null;
    this.touched = null; // units to compute again, by layer; null: all
    this.changed = null; // units that the last refresh computed, by layer; null: all
  }

  /** Forgets everything, for another network. */
  forget() {
    this.touched = null;
  }

  /** Notes that a parameter of a unit has changed. */
  touch(layer, unit) {
    this.touched?.[layer].add(unit);
  }

  /** Computes what has changed and what depends on it. */
  refresh(network) {
    const all = this.touched === null;
    if (all) this.#begin(network.widths);
    this.changed = all ? null : network.widths.map(() => new Set());
    let before = new Set();
    for (let layer = 1; layer <= network.last; layer++) {
      const touched = this.touched[layer];
      for (let unit = 0; unit < network.widths[layer]; unit++) {
        const sources = network.sources(layer, unit);
        const stale = all || touched.has(unit) || sources.some((source) => before.has(source));
        if (!stale) continue;
        touched.add(unit);
        this.#compute(network, layer, unit, sources);
      }
      before = touched;
      if (!all) this.changed[layer] = touched;
      this.touched[layer] = new Set();
    }
  }

  /** Room for everything; what there is of the same shape is written again. */
  #begin(widths) {
    if (this.values?.map(({ length }) => length).join() !== widths.join()) {
      this.values = widths.map((width) => new Array(width).fill(this.zeros));
      this.values[0] = this.inputs;
    }
    this.touched = widths.map(() => new Set());
  }

  #compute(network, layer, unit, sources) {
    const bias = network.effect(network.bias(layer, unit));
    let answer = this.values[layer][unit];
    if (sources.length === 0 && bias === 0) {
      this.values[layer][unit] = this.zeros;
      return;
    }
    if (answer === this.zeros) answer = this.values[layer][unit] = new Float32Array(this.size);
    answer.fill(bias);
    for (const source of sources) {
      addScaled(
        answer,
        this.values[layer - 1][source],
        network.values[network.weight(layer, unit, source)],
      );
    }
    if (layer === network.last) return;
    if (network.activation === "relu") rectify(answer);
    else answer.forEach((z, i) => (answer[i] = ACTIVATIONS[network.activation].of(z)));
  }

  /** The classes: whether the only output is above zero, or the first of the largest outputs. */
  classes() {
    const outputs = this.values.at(-1);
    if (outputs.length === 1) return Uint16Array.from(outputs[0], (logit) => (logit > 0 ? 1 : 0));
    const result = new Uint16Array(this.size);
    for (let point = 0; point < this.size; point++) {
      for (let output = 1; output < outputs.length; output++) {
        if (outputs[output][point] > outputs[result[point]][point]) result[point] = output;
      }
    }
    return result;
  }

  correct(labels) {
    const outputs = this.values.at(-1);
    let count = 0;
    if (outputs.length === 1) {
      // The usual case, in every frame: no array of classes in between.
      for (let point = 0; point < this.size; point++) {
        count += (outputs[0][point] > 0 ? 1 : 0) === labels[point] ? 1 : 0;
      }
      return count;
    }
    this.classes().forEach((guess, point) => {
      count += guess === labels[point] ? 1 : 0;
    });
    return count;
  }
}

function addScaled(sum, input, weight) {
  for (let i = 0; i < sum.length; i++) sum[i] += weight * input[i];
}

function rectify(values) {
  for (let i = 0; i < values.length; i++) if (values[i] < 0) values[i] = 0;
}

/** The centres of `side` by `side` pixels over the plane, x2 up, row by row from the top. */
function planePoints(side, extent) {
  const x1 = new Float32Array(side * side);
  const x2 = new Float32Array(side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      x1[row * side + column] = extent * ((2 * column + 1) / side - 1);
      x2[row * side + column] = extent * (1 - (2 * row + 1) / side);
    }
  }
  return [x1, x2];
}
