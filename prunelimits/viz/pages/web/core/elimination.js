// Elimination: several networks lose units, then weight after weight, and train on after every loss;
// of every size the best go on. A small relative of `prunelimits.elimination`.

const ELIMINATION = {
  networks: 8, // that are trained at first, from different starts
  beam: 8, // that go on of every size
  perOrigin: 2, // of them, of the same start
  tries: 3, // losses that are tried of each: those that the loss feels least
  unitShare: 0.3, // of the hidden units, that go in a step
  unitsUntil: 3, // units go while there are so many times the weights to keep
  goal: 0.95, // accuracy that networks should not lose with their units, if they ever had it
  slack: 0.02, // how far below it they may fall
  probe: 256, // samples on which a loss is tried
  steps: 400, // of the training after a loss, in batches of `batchSize`
  batchSize: 32,
  lr: 0.01,
  lastTraining: 10, // times as long
};

/** @typedef {{network: Network, origin: number, accuracy: number}} Candidate */

class Elimination {
  /**
   * @param {Training} training of the network that is shown; it begins and takes what was found
   * @param {number} keep how many weights survive
   * @param {Random} random
   */
  constructor(training, keep, random) {
    this.training = training;
    this.shown = training.network;
    this.keep = keep;
    this.random = random;
    this.later = 0; // epochs after the first training
    this.done = false;
    this.changes = 0; // how often the network was changed by hand
    const { samples, recipe } = training;
    this.probe = firstSamples(samples, ELIMINATION.probe);
    const batchSize = Math.min(ELIMINATION.batchSize, samples.size);
    const epochs = Math.ceil(ELIMINATION.steps / Math.floor(samples.size / batchSize));
    /** @type {Recipe} */
    this.recovery = { ...recipe, l1: 0, schedule: "cosine", lr: ELIMINATION.lr, batchSize, epochs };
    /** @type {Map<number, Candidate[]>} */
    this.waiting = new Map(); // by how many weights they have
    this.work = this.#work();
  }

  get epoch() {
    return this.training.epoch + this.later;
  }

  /** How long it takes is not known beforehand. */
  get lastEpoch() {
    return null;
  }

  /** Calls of `take` in an epoch, about. */
  get stepsPerEpoch() {
    return this.training.stepsPerEpoch;
  }

  /** A small part of the work. */
  take() {
    this.done = this.work.next().done === true;
  }

  /** The network that is shown was changed by hand: from now on there is no other. */
  edited() {
    this.changes++;
    const network = this.shown.copy();
    const { accuracy } = measure(network, this.training.samples);
    this.waiting = new Map([[keptWeights(network), [{ network, origin: 0, accuracy }]]]);
  }

  *#work() {
    const networks = yield* this.#trained();
    yield* this.#withFewerUnits(networks);
    yield* this.#withFewerWeights();
    yield* this.#finish();
  }

  /** Trains the network that is shown and, unless that is changed by hand, others beside it. */
  *#trained() {
    const { training, shown, random } = this;
    const others = Array.from({ length: ELIMINATION.networks - 1 }, () => {
      const network = freshNetwork(shown.widths, random);
      network.activation = shown.activation;
      return new Training(network, training.samples, training.recipe, training.order);
    });
    while (!training.done) {
      training.take();
      for (const other of this.changes ? [] : others) other.take();
      yield;
    }
    const trained = [training, ...(this.changes ? [] : others)];
    return trained.map(({ network }, origin) => this.#measured(network.copy(), origin));
  }

  #measured(network, origin) {
    return { network, origin, accuracy: measure(network, this.training.samples).accuracy };
  }

  /** Removes units in steps; a network that suffers waits as it was before. */
  *#withFewerUnits(/** @type {Candidate[]} */ networks) {
    const best = Math.max(...networks.map(({ accuracy }) => accuracy));
    const floor = Math.min(ELIMINATION.goal, best) - ELIMINATION.slack;
    const before = this.changes;
    while (networks.length > 0) {
      const smaller = [];
      for (const candidate of networks) {
        const weights = keptWeights(candidate.network);
        if (weights <= ELIMINATION.unitsUntil * this.keep) {
          this.#offer(candidate);
          continue;
        }
        const less = withFewerUnits(candidate.network, this.probe, ELIMINATION.unitShare);
        yield;
        const found = yield* this.#recovered(less, candidate.origin);
        const suffers = found.accuracy < floor || keptWeights(found.network) < this.keep;
        if (suffers || keptWeights(found.network) === weights) this.#offer(candidate);
        else smaller.push(found);
      }
      networks = smaller;
      if (this.changes > before) return;
      // What is shown only loses weights: it is the largest with which the next stage would begin.
      const all = [...networks, ...[...this.waiting.values()].flat()];
      const size = Math.max(...all.map(({ network }) => keptWeights(network)));
      this.#show(all.filter(({ network }) => keptWeights(network) === size));
    }
  }

  /** Removes weight after weight, from the largest networks to the smallest. */
  *#withFewerWeights() {
    for (;;) {
      const size = Math.max(...this.waiting.keys());
      const parents = this.waiting.get(size);
      if (size <= this.keep) return;
      const before = this.changes;
      const offered = [...this.waiting.keys()].length;
      for (const { network, origin } of parents) {
        for (const less of withoutOne(network, this.probe, ELIMINATION.tries)) {
          if (keptWeights(less) < this.keep || this.#known(less, origin)) continue;
          const found = yield* this.#recovered(less, origin);
          if (this.changes === before) this.#offer(found);
        }
      }
      if (this.changes > before) continue;
      // Where every loss takes too many weights along, they go one at a time in `#finish`.
      if (this.waiting.size === 1 && offered === 1) return;
      this.waiting.delete(size);
      this.#show(this.waiting.get(Math.max(...this.waiting.keys())));
    }
  }

  /** Shows the best, exactly as large as it shall be, after a last long training. */
  *#finish() {
    const [{ network, origin }] = this.waiting.get(Math.min(...this.waiting.keys()));
    while (keptWeights(network) > this.keep) {
      const masks = network.kept.slice();
      masks[leastMissed(network, new Absences(network, this.probe))] = 0;
      setMasks(network, masks);
    }
    const before = this.#measured(network.copy(), origin);
    const changes = this.changes;
    const after = yield* this.#recovered(network, origin, ELIMINATION.lastTraining);
    if (this.changes === changes) this.#show([after.accuracy >= before.accuracy ? after : before]);
  }

  /** Trains a network on. */
  *#recovered(network, origin, times = 1) {
    const { samples, order } = this.training;
    const recipe = { ...this.recovery, epochs: this.recovery.epochs * times };
    const training = new Training(network, samples, recipe, (epoch) => order(this.epoch + epoch));
    while (!training.done) {
      training.take();
      if (training.step % ELIMINATION.steps === 0) yield;
    }
    return this.#measured(network, origin);
  }

  #offer(/** @type {Candidate} */ candidate) {
    const size = keptWeights(candidate.network);
    const rivals = [...(this.waiting.get(size) ?? []), candidate];
    rivals.sort((a, b) => b.accuracy - a.accuracy);
    const best = [];
    for (const rival of rivals) {
      const related = best.filter(({ origin }) => origin === rival.origin).length;
      if (related < ELIMINATION.perOrigin) best.push(rival);
    }
    this.waiting.set(size, best.slice(0, ELIMINATION.beam));
  }

  #known(network, origin) {
    const same = ({ network: other, origin: from }) => {
      return from === origin && other.kept.every((flag, i) => flag === network.kept[i]);
    };
    return (this.waiting.get(keptWeights(network)) ?? []).some(same);
  }

  #show(/** @type {Candidate[]} */ candidates) {
    if (candidates.length === 0) return;
    const best = candidates.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
    this.shown.values.set(best.network.values);
    this.shown.kept.set(best.network.kept);
    this.later += this.recovery.epochs;
  }
}

/**
 * The first samples; they are in a random order.
 *
 * @returns {Samples}
 */
function firstSamples(/** @type {Samples} */ { x, y, inputs, size }, /** @type {number} */ most) {
  const count = Math.min(most, size);
  return { x: x.subarray(0, count * inputs), y: y.subarray(0, count), inputs, size: count };
}

/** Removes what is on no path, its constants moved on; biases by the paper's rule. */
function settle(/** @type {Network} */ network) {
  for (const { index, value, kept } of foldedConstants(network)) {
    network.values[index] = value;
    network.kept[index] = kept;
  }
  setMasks(network, network.kept.slice());
}

/** Copies that lack one weight, and what that disconnects: those whose loss is least. */
function withoutOne(/** @type {Network} */ network, /** @type {Samples} */ probe, tries) {
  const absences = new Absences(network, probe);
  absences.prepare();
  const kept = [...weightIndices(network)].filter((index) => network.kept[index]);
  const losses = new Map(kept.map((index) => [index, absences.loss(index)]));
  kept.sort((a, b) => losses.get(a) - losses.get(b) || a - b);
  return kept.slice(0, tries).map((index) => {
    const less = network.copy();
    less.kept[index] = 0;
    settle(less);
    return less;
  });
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

/**
 * A copy without a share of its hidden units: one after the other the one without which, with its
 * mean answer in the next biases instead, the loss is least. Every layer keeps one.
 */
function withFewerUnits(/** @type {Network} */ network, /** @type {Samples} */ probe, share) {
  let less = network.copy();
  const passes = new Passes(network.widths, probe.size);
  const order = Uint32Array.from({ length: probe.size }, (_, i) => i);
  const used = usedUnits(less);
  for (let left = Math.ceil(share * used.flat().length); left > 0; left--) {
    passes.load(probe, order, 0, probe.size);
    passes.forward(less, probe.size);
    const means = passes.answers.map((answers, layer) => meansOf(answers, less.widths[layer]));
    let best = null;
    let lowest = Infinity;
    for (let layer = 1; layer < less.last; layer++) {
      for (const unit of used[layer].length > 1 ? used[layer] : []) {
        const without = withoutUnit(less, layer, unit, means[layer][unit]);
        passes.forward(without, probe.size);
        const loss = passes.outputErrors(probe, order, 0, probe.size);
        if (loss < lowest) [best, lowest] = [{ without, layer, unit }, loss];
      }
    }
    if (best === null) break;
    less = best.without;
    used[best.layer] = used[best.layer].filter((unit) => unit !== best.unit);
  }
  settle(less);
  return less;
}

/**
 * Hidden units with a way on, by layer.
 *
 * @returns {number[][]}
 */
function usedUnits(/** @type {Network} */ network) {
  const { reaches } = new Reach(network);
  return reaches.map((flags, layer) => {
    const inner = layer > 0 && layer < network.last;
    return inner ? [...flags.keys()].filter((unit) => flags[unit]) : [];
  });
}

/** Mean answers of units, which lie one after the other. */
function meansOf(/** @type {ArrayLike<number>} */ answers, /** @type {number} */ units) {
  const size = answers.length / units;
  return Array.from({ length: units }, (_, unit) => {
    let sum = 0;
    for (let i = unit * size; i < (unit + 1) * size; i++) sum += answers[i];
    return sum / size;
  });
}

/** A copy in which a hidden unit answers its mean, which stands in the next biases. */
function withoutUnit(/** @type {Network} */ network, layer, unit, /** @type {number} */ mean) {
  const without = network.copy();
  for (let next = 0; next < network.widths[layer + 1]; next++) {
    const index = network.weight(layer + 1, next, unit);
    const bias = network.bias(layer + 1, next);
    without.values[bias] += network.effect(index) * mean;
    without.kept[index] = 0;
  }
  return without;
}

DURING.Elimination = (training, keep, random) => new Elimination(training, keep, random);
