// Elimination step by step: the weight that is missed least goes, the rest train on.

const PROBE = 256; // samples on which a weight's absence is tried

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

/** The kept weight without which the loss is least, the first of equals; null if none is kept. */
function leastMissed(/** @type {Network} */ network, /** @type {Absences} */ absences) {
  absences.prepare();
  let least = null;
  let lowest = Infinity;
  network.eachWeight((index) => {
    if (!network.kept[index]) return;
    const loss = absences.loss(index);
    if (loss < lowest || least === null) [least, lowest] = [index, loss];
  });
  return least;
}

/** Weights go one by one, evenly between 3/10 and 9/10 of the training. */
class Elimination extends Rounds {
  constructor(/** @type {Training} */ training, /** @type {number} */ keep) {
    super(training, keep, keptWeights(training.network) - keep, [6, 10]);
    const first = Math.floor((3 * training.steps) / 10);
    this.when = this.when.map((step) => step + first);
    const { x, y, inputs, size } = training.samples;
    const probe = Math.min(PROBE, size); // the samples are in a random order
    this.absences = new Absences(this.network, {
      x: x.subarray(0, probe * inputs),
      y: y.subarray(0, probe),
      inputs,
      size: probe,
    });
  }

  take() {
    if (!this.due()) {
      this.training.take();
      return;
    }
    this.round++;
    const index = leastMissed(this.network, this.absences);
    const masks = this.network.kept.slice();
    masks[index] = 0;
    setMasks(this.network, masks);
  }

  /** Weights that are removed by hand need not be removed again. */
  due() {
    return super.due() && keptWeights(this.network) > this.keep;
  }

  get done() {
    return this.training.done && !this.due();
  }
}

DURING.Elimination = (training, keep) => new Elimination(training, keep);
