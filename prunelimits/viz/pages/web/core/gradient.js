// Forward and backward passes of a network over a batch.

/**
 * Memory for the passes of networks of some widths over batches of at most `most` samples.
 * Activations lie unit by unit, a number a sample, so that every inner loop runs along samples.
 */
class Passes {
  /**
   * @param {number[]} widths
   * @param {number} most samples at a time
   * @param {Float32ArrayConstructor | Float64ArrayConstructor} Numbers
   */
  constructor(widths, most, Numbers = Float32Array) {
    this.widths = widths;
    this.most = most;
    this.answers = widths.map((width) => new Numbers(width * most));
    this.errors = widths.map((width) => new Numbers(width * most));
    this.everything = true; // whether gradients of pruned weights are wanted too
  }

  /** Takes the inputs of the samples at `order[first]` to `order[first + size - 1]`. */
  load(/** @type {Samples} */ samples, /** @type {ArrayLike<number>} */ order, first, size) {
    const { x, inputs } = samples;
    const h = this.answers[0];
    for (let i = 0; i < size; i++) {
      const row = order[first + i] * inputs;
      for (let input = 0; input < inputs; input++) h[input * this.most + i] = x[row + input];
    }
  }

  /** The outputs of the samples that were loaded, in `answers.at(-1)`. */
  forward(/** @type {Network} */ network, /** @type {number} */ size) {
    for (let layer = 1; layer <= network.last; layer++) this.layer(network, layer, size);
  }

  /** The answers of one layer, from those of the layer before it. */
  layer(/** @type {Network} */ network, /** @type {number} */ layer, /** @type {number} */ size) {
    const here = this.answers[layer];
    this.sums(network, layer, size, here);
    if (layer === network.last) return;
    const { of } = ACTIVATIONS[network.activation];
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      const at = unit * this.most;
      for (let i = at; i < at + size; i++) here[i] = of(here[i]);
    }
  }

  /** What the units of a layer add up, before their activation. */
  sums(network, layer, size, /** @type {Float32Array|Float64Array} */ result) {
    const { most } = this;
    const before = this.answers[layer - 1];
    const sources = network.widths[layer - 1];
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      const at = unit * most;
      result.fill(network.effect(network.bias(layer, unit)), at, at + size);
      const row = network.weight(layer, unit, 0);
      for (let source = 0; source < sources; source++) {
        const weight = network.effect(row + source);
        if (weight === 0) continue;
        const from = source * most;
        for (let i = 0; i < size; i++) result[at + i] += weight * before[from + i];
      }
    }
  }

  /**
   * The mean loss over a batch and its gradient by all parameters: binary cross-entropy for one
   * output, cross-entropy of a softmax for more. Growing methods rank pruned weights by theirs;
   * where these are not wanted, `result` is left as it is there.
   *
   * @param {Network} network
   * @param {Samples} samples
   * @param {ArrayLike<number>} order
   * @param {number} first of the order
   * @param {number} size
   * @param {Float32Array | Float64Array} result
   */
  gradient(network, samples, order, first, size, result, cool = 1) {
    this.load(samples, order, first, size);
    this.forward(network, size);
    const loss = this.outputErrors(samples, order, first, size, cool);
    const { most, answers, errors, everything } = this;
    const { slope } = ACTIVATIONS[network.activation];
    for (let layer = network.last; layer >= 1; layer--) {
      const before = answers[layer - 1];
      const error = errors[layer];
      const sources = network.widths[layer - 1];
      const below = errors[layer - 1];
      if (layer > 1) below.fill(0);
      for (let unit = 0; unit < network.widths[layer]; unit++) {
        const at = unit * most;
        const row = network.weight(layer, unit, 0);
        let sum = 0;
        for (let i = at; i < at + size; i++) sum += error[i];
        result[network.bias(layer, unit)] = sum;
        for (let source = 0; source < sources; source++) {
          if (!everything && !network.kept[row + source]) continue;
          const from = source * most;
          let product = 0;
          for (let i = 0; i < size; i++) product += error[at + i] * before[from + i];
          result[row + source] = product;
          const weight = network.effect(row + source);
          if (layer === 1 || weight === 0) continue;
          for (let i = 0; i < size; i++) below[from + i] += weight * error[at + i];
        }
      }
      if (layer === 1) continue;
      for (let unit = 0; unit < sources; unit++) {
        const at = unit * most;
        for (let i = at; i < at + size; i++) below[i] *= slope(before[i]);
      }
    }
    return loss;
  }

  /** Writes dLoss/dOutput of every sample, and returns the mean loss. */
  outputErrors(samples, order, first, size, cool = 1) {
    const { most } = this;
    const outputs = this.answers.at(-1);
    const error = this.errors.at(-1);
    const classes = this.widths.at(-1);
    let total = 0;
    for (let i = 0; i < size; i++) {
      const label = samples.y[order[first + i]];
      if (classes === 1) {
        const logit = outputs[i] / cool;
        const e = Math.exp(-Math.abs(logit));
        total += Math.max(logit, 0) - logit * label + Math.log1p(e);
        error[i] = ((logit >= 0 ? 1 / (1 + e) : e / (1 + e)) - label) / (size * cool);
        continue;
      }
      let largest = -Infinity;
      for (let k = 0; k < classes; k++) largest = Math.max(largest, outputs[k * most + i] / cool);
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += Math.exp(outputs[k * most + i] / cool - largest);
      total += Math.log(sum) + largest - outputs[label * most + i] / cool;
      for (let k = 0; k < classes; k++) {
        const share = Math.exp(outputs[k * most + i] / cool - largest) / sum;
        error[k * most + i] = (share - (k === label ? 1 : 0)) / (size * cool);
      }
    }
    return total / size;
  }
}
