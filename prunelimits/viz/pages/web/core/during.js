// The methods that prune while a network trains, in rounds. Names and numbers are those of
// `prunelimits.pruners`.

/** @typedef {[number, number]} Fraction */

/** What is common: a training, a budget, and after which steps the rounds fall. */
class Rounds {
  /**
   * @param {Training} training
   * @param {number} keep how many weights survive
   * @param {number} rounds
   * @param {Fraction} until
   */
  constructor(training, keep, rounds, until) {
    this.training = training;
    this.network = training.network;
    this.weights = weightIndices(this.network);
    this.keep = keep;
    this.rounds = rounds;
    this.round = 0;
    this.when = updateSteps(training.steps, rounds, until);
  }

  /** Whether a round falls after the steps that are done. */
  due() {
    return this.round < this.rounds && this.when[this.round] <= this.training.step;
  }

  get epoch() {
    return this.training.epoch;
  }

  get lastEpoch() {
    return this.training.lastEpoch;
  }

  get stepsPerEpoch() {
    return this.training.stepsPerEpoch;
  }
}

/** GMP: the smallest weights go, by Zhu and Gupta's cubic schedule. */
class Gradual extends Rounds {
  constructor(training, keep, random, rounds = 199, until = /** @type {Fraction} */ ([199, 200])) {
    super(training, keep, rounds, until);
    this.from = keptWeights(this.network);
  }

  /** One step, and the rounds that fall after it. */
  take() {
    this.training.take();
    while (this.due()) {
      this.round++;
      const left = cubicBudget(this.from, this.keep, this.round / this.rounds);
      const { network, weights } = this;
      setMasks(network, select(magnitudeScores(network), network.kept, weights, left));
    }
  }

  get done() {
    return this.training.done;
  }
}

/** LTH: after every whole training prunes by magnitude and goes back to where it started. */
class Rewind extends Rounds {
  constructor(training, keep, random, rounds = 4) {
    super(training, keep, rounds, [1, 1]);
    this.from = keptWeights(this.network);
    this.start = this.network.values.slice();
  }

  take() {
    this.training.take();
    if (!this.training.done || this.round >= this.rounds) return;
    this.round++;
    const { network, weights, training } = this;
    const left = exponentialBudget(this.from, this.keep, this.round / this.rounds);
    setMasks(network, select(magnitudeScores(network), network.kept, weights, left));
    network.values.set(this.start);
    training.restart();
  }

  get done() {
    return this.round >= this.rounds && this.training.done;
  }

  get epoch() {
    return this.round * this.training.lastEpoch + this.training.epoch;
  }

  get lastEpoch() {
    return (this.rounds + 1) * this.training.lastEpoch;
  }
}

/** RigL and SET: sparse from the start by Erdős-Rényi quotas; rounds move a share of each layer. */
class DropGrow extends Rounds {
  /**
   * @param {Training} training
   * @param {number} keep
   * @param {Uniform} random
   * @param {{rounds: number, until: Fraction, decays: boolean, byGradient: boolean}} rule
   */
  constructor(training, keep, random, { rounds, until, decays, byGradient }) {
    super(training, keep, rounds, until);
    this.random = random;
    this.decays = decays;
    this.byGradient = byGradient;
    training.passes.everything = byGradient;
    const { network } = this;
    this.quotas = erdosRenyiQuotas(network.widths, keep);
    this.layers = network.widths.slice(1).map((_, i) => {
      return this.weights.filter((index) => network.place(index).layer === i + 1);
    });
    const everything = new Uint8Array(network.values.length).fill(1);
    setMasks(this.network, this.#best(randomScores(network, random), everything, this.quotas));
  }

  /** One step, or the rounds that fall after those that are done. */
  take() {
    if (!this.due()) {
      this.training.take();
      return;
    }
    const step = this.when[this.round];
    // These rounds take the place of a step of the optimiser, on that step's batch.
    if (this.byGradient) this.training.look();
    while (this.round < this.rounds && this.when[this.round] === step) this.#move();
    if (this.byGradient) this.training.skip();
  }

  due() {
    // Where no batch is left there is no gradient to grow by.
    return super.due() && !(this.byGradient && this.training.done);
  }

  get done() {
    return this.training.done && !this.due();
  }

  /** The share of a layer's weights that a round, from 1, moves. */
  share(round) {
    return this.decays ? (0.3 * (1 + Math.cos((Math.PI * round) / this.rounds))) / 2 : 0.3;
  }

  /** Drops the smallest weights of every layer and grows as many. */
  #move() {
    this.round++;
    const { network } = this;
    const before = network.kept.slice();
    // A product that rounding errors put just below a whole number is that number.
    const growth = this.quotas.map((quota) => Math.floor(this.share(this.round) * quota + 1e-9));
    const rest = this.quotas.map((quota, layer) => quota - growth[layer]);
    const stay = this.#best(magnitudeScores(network), before, rest);
    const free = stay.map((kept) => 1 - kept);
    const scores = this.byGradient
      ? this.training.gradient.map(Math.abs)
      : randomScores(network, this.random);
    const grown = this.#best(scores, free, growth);
    for (const index of this.weights) {
      // A new weight starts from zero.
      if (grown[index] && !before[index]) network.values[index] = 0;
      stay[index] |= grown[index];
    }
    setMasks(this.network, stay);
  }

  /** So many of every layer, of the largest scores. */
  #best(scores, allowed, budgets) {
    const result = new Uint8Array(this.network.values.length);
    this.layers.forEach((weights, layer) => {
      const kept = select(scores, allowed, weights, budgets[layer]);
      for (const index of weights) result[index] = kept[index];
    });
    return result;
  }
}

/** How each begins: on a training, with a budget and random numbers. */
const DURING = {
  GMP: (training, keep, random) => new Gradual(training, keep, random),
  LTH: (training, keep, random) => new Rewind(training, keep, random),
  RigL: (training, keep, random) => {
    const until = /** @type {Fraction} */ ([3, 4]);
    const rule = { rounds: 146, until, decays: true, byGradient: true };
    return new DropGrow(training, keep, random, rule);
  },
  SET: (training, keep, random) => {
    const until = /** @type {Fraction} */ ([98, 100]);
    const rule = { rounds: 49, until, decays: false, byGradient: false };
    return new DropGrow(training, keep, random, rule);
  },
};
