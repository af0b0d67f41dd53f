// What the loss would be without a weight, tried for one after the other.

/**
 * Tries what the loss would be without a weight. The answers of the whole network are computed
 * once; an absence changes one unit, what that adds to the next layer, and the layers after it.
 */
class Absences {
  constructor(/** @type {Network} */ network, /** @type {Samples} */ samples) {
    const { size } = samples;
    this.network = network;
    this.samples = samples;
    this.order = Uint32Array.from({ length: size }, (_, i) => i);
    this.whole = new Passes(network.widths, size, Float64Array);
    this.tried = new Passes(network.widths, size, Float64Array);
    this.sums = network.widths.map((width) => new Float64Array(width * size)); // before activation
    this.change = new Float64Array(size);
  }

  /** Computes the whole network, as it is now. */
  prepare() {
    const { network, samples, whole, sums } = this;
    whole.load(samples, this.order, 0, samples.size);
    whole.forward(network, samples.size);
    for (let layer = 1; layer <= network.last; layer++) {
      whole.sums(network, layer, samples.size, sums[layer]);
    }
  }

  /** The loss without a weight that is kept. */
  loss(/** @type {number} */ index) {
    const { network, samples, whole, tried, sums, change } = this;
    const { size } = samples;
    const { layer, unit, source } = network.place(index);
    const weight = network.values[index];
    const before = whole.answers[layer - 1];
    for (let i = 0; i < size; i++) change[i] = -weight * before[source * size + i];
    if (layer < network.last) {
      this.#respond(layer, unit);
      this.#pass(layer + 1, unit);
    } else {
      tried.answers[layer].set(sums[layer]);
      for (let i = 0; i < size; i++) tried.answers[layer][unit * size + i] += change[i];
    }
    for (let next = layer + 2; next <= network.last; next++) tried.layer(network, next, size);
    return tried.outputErrors(samples, this.order, 0, size);
  }

  /** Turns the change of a unit's sum into that of its answer. */
  #respond(layer, unit) {
    const { change, sums, whole } = this;
    const { of } = ACTIVATIONS[this.network.activation];
    for (let i = 0, at = unit * change.length; i < change.length; i++, at++) {
      change[i] = of(sums[layer][at] + change[i]) - whole.answers[layer][at];
    }
  }

  /** The answers of a layer when one of its sources changes. */
  #pass(layer, source) {
    const { network, change, sums, tried } = this;
    const { of } = ACTIVATIONS[network.activation];
    const size = change.length;
    const answers = tried.answers[layer];
    answers.set(sums[layer]);
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      const weight = network.effect(network.weight(layer, unit, source));
      for (let i = 0, at = unit * size; weight !== 0 && i < size; i++, at++) {
        answers[at] += weight * change[i];
      }
    }
    if (layer === network.last) return;
    for (let at = 0; at < answers.length; at++) answers[at] = of(answers[at]);
  }
}
