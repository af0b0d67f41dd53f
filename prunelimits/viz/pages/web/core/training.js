// Training step by step, as `prunelimits.fit` does it: SGD with momentum and weight decay.

class Training {
  /**
   * @param {Network} network trained in place
   * @param {Samples} samples
   * @param {Recipe} recipe
   * @param {(epoch: number) => ArrayLike<number>} order in which an epoch visits the samples
   */
  constructor(network, samples, recipe, order) {
    const { batchSize } = recipe;
    if (batchSize > samples.size) {
      throw new Error(`the batch size is ${batchSize}, but there are ${samples.size} samples`);
    }
    this.network = network;
    this.samples = samples;
    this.recipe = recipe;
    this.order = order;
    this.stepsPerEpoch = Math.floor(samples.size / batchSize);
    this.step = 0;
    this.velocity = new Float32Array(network.values.length);
    this.gradient = new Float32Array(network.values.length);
    this.passes = new Passes(network.widths, batchSize);
    this.passes.everything = false;
    this.loss = NaN;
    this.current = null;
  }

  get epoch() {
    return Math.floor(this.step / this.stepsPerEpoch);
  }

  /** How many epochs there will be. */
  get lastEpoch() {
    return this.recipe.epochs;
  }

  get steps() {
    return this.recipe.epochs * this.stepsPerEpoch;
  }

  get done() {
    return this.step >= this.steps;
  }

  /** The gradient of the next batch by all parameters; `advance` then takes the step. */
  look() {
    const { batchSize } = this.recipe;
    const place = this.step % this.stepsPerEpoch;
    if (this.current === null || place === 0) this.current = this.order(this.epoch);
    const first = place * batchSize;
    const { network, samples, gradient } = this;
    this.loss = this.passes.gradient(network, samples, this.current, first, batchSize, gradient);
  }

  /** v = momentum v + g + decay w and w = w - lr v, within what is kept. */
  advance() {
    const { momentum, weightDecay, l1 = 0 } = this.recipe;
    const { values, kept } = this.network;
    const { velocity, gradient } = this;
    const rate = learningRate(this.recipe, this.epoch);
    for (let i = 0; i < values.length; i++) {
      if (!kept[i]) {
        velocity[i] = 0;
        continue;
      }
      const pull = weightDecay * values[i] + l1 * Math.sign(values[i]);
      velocity[i] = momentum * velocity[i] + gradient[i] + pull;
      values[i] -= rate * velocity[i];
    }
    this.step++;
  }

  /** Lets the step that was looked at pass without a change. */
  skip() {
    this.step++;
  }

  /** Begins the training again, from the network as it is now. */
  restart() {
    this.step = 0;
    this.current = null;
    this.velocity.fill(0);
  }

  /** One step. */
  take() {
    this.look();
    this.advance();
  }
}

/**
 * Mean loss, and the share of samples classified right: an output above zero, or the largest;
 * `untied`: those alone of them whose only output is not exactly zero.
 */
function measure(/** @type {Network} */ network, /** @type {Samples} */ samples) {
  const most = Math.min(1024, samples.size);
  const passes = new Passes(network.widths, most);
  const everything = Uint32Array.from({ length: samples.size }, (_, i) => i);
  const classes = network.widths.at(-1);
  let loss = 0;
  let correct = 0;
  let untied = 0;
  for (let first = 0; first < samples.size; first += most) {
    const size = Math.min(most, samples.size - first);
    passes.load(samples, everything, first, size);
    passes.forward(network, size);
    loss += size * passes.outputErrors(samples, everything, first, size);
    const outputs = passes.answers.at(-1);
    for (let i = 0; i < size; i++) {
      let guess = 0;
      if (classes === 1) guess = outputs[i] > 0 ? 1 : 0;
      for (let k = 1; k < classes; k++) {
        if (outputs[k * most + i] > outputs[guess * most + i]) guess = k;
      }
      const right = guess === samples.y[first + i] ? 1 : 0;
      correct += right;
      untied += classes === 1 && outputs[i] === 0 ? 0 : right;
    }
  }
  const all = samples.size;
  return { loss: loss / all, accuracy: correct / all, untied: untied / all };
}
