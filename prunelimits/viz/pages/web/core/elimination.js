// Elimination step by step: the weight that is missed least goes, the rest train on.

const PROBE = 256; // samples on which a weight's absence is tried

/**
 * The kept weight without which the loss is least, the first of equals; null if none is kept. Tries
 * every one of them.
 */
function leastMissed(
  /** @type {Network} */ network,
  /** @type {Samples} */ samples,
  /** @type {Passes} */ passes = new Passes(network.widths, samples.size, Float64Array),
) {
  const order = Uint32Array.from({ length: samples.size }, (_, i) => i);
  passes.load(samples, order, 0, samples.size);
  let least = null;
  let lowest = Infinity;
  network.eachWeight((index) => {
    if (!network.kept[index]) return;
    network.kept[index] = 0;
    passes.forward(network, samples.size);
    const loss = passes.outputErrors(samples, order, 0, samples.size);
    network.kept[index] = 1;
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
    this.probe = { x: x.subarray(0, probe * inputs), y: y.subarray(0, probe), inputs, size: probe };
    this.passes = new Passes(this.network.widths, probe);
  }

  take() {
    if (!this.due()) {
      this.training.take();
      return;
    }
    this.round++;
    const index = leastMissed(this.network, this.probe, this.passes);
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
