// Elimination: several networks lose units, then weight after weight, and train on after every loss;
// of every size the best go on. A small relative of `prunelimits.elimination`.

const ELIMINATION = {
  networks: 10, // that are trained at first, from different starts
  beam: 12, // that go on of every size
  perOrigin: 2, // of them, of the same start
  tries: 4, // losses that are tried of each: those that the loss feels least
  unitShare: 0.3, // of the hidden units, that go in a step; when that is too much, one
  goal: 0.95, // accuracy that networks should not lose with their units, if they ever had it
  slack: 0.02, // how far below it they may fall
  probe: 512, // samples on which the loss of a weight is tried
  unitProbe: 256, // and that of a unit
  steps: 400, // of the training after a loss, in batches of `batchSize`
  unitTraining: 3, // times as long, after the loss of units
  batchSize: 32,
  lr: 0.01,
  lastTraining: 10, // times as long
};

const STAGES = 4; // first trainings, units, weights, a last training

/** @typedef {{network: Network, origin: number, accuracy: number}} Candidate */

/** A stage of some, what it does, and which share of it is done.
 * @typedef {{stage: number, of: number, text: string, share: number}} Stage */

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
    this.unitProbe = firstSamples(samples, ELIMINATION.unitProbe);
    const batchSize = Math.min(ELIMINATION.batchSize, samples.size);
    const epochs = Math.ceil(ELIMINATION.steps / Math.floor(samples.size / batchSize));
    /** @type {Recipe} */
    this.recovery = { ...recipe, l1: 0, schedule: "cosine", lr: ELIMINATION.lr, batchSize, epochs };
    /** @type {Map<number, Candidate[]>} */
    this.waiting = new Map(); // by how many nonzeros they have, all with more than `keep` weights
    /** @type {Candidate[]} */
    this.found = []; // with as many weights as shall be left
    this.tried = 0; // smaller networks that were trained
    /** @type {Stage} */
    this.stage = null;
    this.ending = ""; // why it stopped, once it has
    this.#enter(1, `trains ${ELIMINATION.networks} networks`);
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
    this.waiting = new Map();
    this.found = [];
    this.#offer(this.#measured(network, 0));
  }

  #enter(/** @type {number} */ stage, /** @type {string} */ text, share = 0) {
    this.stage = { stage, of: STAGES, text, share };
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
      this.stage.share = training.step / training.steps;
      yield;
    }
    const trained = [training, ...(this.changes ? [] : others)];
    return trained.map(({ network }, origin) => this.#measured(network.copy(), origin));
  }

  #measured(network, origin) {
    return { network, origin, accuracy: measure(network, this.training.samples).accuracy };
  }

  /** Removes units, in large steps and then one by one; what suffers waits as it was before. */
  *#withFewerUnits(/** @type {Candidate[]} */ networks) {
    const best = Math.max(...networks.map(({ accuracy }) => accuracy));
    const floor = Math.min(ELIMINATION.goal, best) - ELIMINATION.slack;
    const before = this.changes;
    let losing = networks.map((candidate) => ({ candidate, share: ELIMINATION.unitShare }));
    const unitsOf = () => sumOf(losing, ({ candidate }) => usedUnits(candidate.network).flat().length);
    const all = unitsOf();
    while (losing.length > 0) {
      const left = `${losing.length} of ${networks.length} networks still lose some`;
      this.#enter(2, `removes units, ${left}`, 1 - unitsOf() / all);
      const next = [];
      for (const { candidate, share } of losing) {
        const { network, origin } = candidate;
        const less = withFewerUnits(network, this.unitProbe, share);
        yield;
        const none = usedUnits(less).flat().length === usedUnits(network).flat().length;
        if (none || keptWeights(less) < this.keep) {
          this.#offer(candidate);
          continue;
        }
        const found = yield* this.#recovered(less, origin, ELIMINATION.unitTraining);
        if (found.accuracy >= floor) next.push({ candidate: found, share });
        else if (share > 0) next.push({ candidate, share: 0 });
        else this.#offer(candidate);
      }
      losing = next;
      if (this.changes > before) return;
      // What is shown only becomes smaller: the largest, with which the next stage would begin.
      const there = [...losing.map(({ candidate }) => candidate), ...this.#all()];
      const size = Math.max(...there.map(({ network }) => network.nonzeros()));
      this.#show(there.filter(({ network }) => network.nonzeros() === size));
    }
  }

  #all() {
    return [...[...this.waiting.values()].flat(), ...this.found];
  }

  /** Removes weight after weight, from the largest networks to the smallest. */
  *#withFewerWeights() {
    let most = 0;
    while (this.waiting.size > 0) {
      const size = Math.max(...this.waiting.keys());
      const parents = this.waiting.get(size);
      const before = this.changes;
      const left = Math.max(...parents.map(({ network }) => keptWeights(network)));
      most = Math.max(most, left);
      const share = (most - left) / (most - this.keep);
      this.#enter(3, `removes weights, ${left} left, down to ${this.keep}`, share);
      for (const { network, origin } of parents) {
        for (const less of withoutOne(network, this.probe, ELIMINATION.tries)) {
          if (keptWeights(less) < this.keep || this.#known(less, origin)) continue;
          const found = yield* this.#recovered(less, origin);
          if (this.changes === before) this.#offer(found);
        }
      }
      if (this.changes > before) continue;
      this.waiting.delete(size);
      // Where every loss takes too many weights along, they go one at a time in `#finish`.
      if (this.#all().length === 0) this.found = parents;
      this.#show(this.waiting.get(Math.max(...this.waiting.keys())) ?? this.found);
    }
  }

  /** Shows the best, exactly as large as it shall be, after a last long training. */
  *#finish() {
    const { network, origin } = bestOf(this.found);
    this.#enter(4, "trains the best a last time");
    while (keptWeights(network) > this.keep) {
      const masks = network.kept.slice();
      masks[leastMissed(network, new Absences(network, this.probe))] = 0;
      setMasks(network, masks);
    }
    const before = this.#measured(network.copy(), origin);
    const changes = this.changes;
    const after = yield* this.#recovered(network, origin, ELIMINATION.lastTraining);
    if (this.changes === changes) this.#show([after.accuracy >= before.accuracy ? after : before]);
    this.ending = this.#ending();
  }

  #ending() {
    const { shown, training, keep, tried } = this;
    const { accuracy } = measure(shown, training.samples);
    const right = `${(100 * accuracy).toFixed(1)} % of the training data right`;
    const goal = `${100 * ELIMINATION.goal} %`;
    const advice = accuracy < ELIMINATION.goal ? `; for ${goal}, keep more or try another seed` : "";
    return (
      `it stopped at the ${keep} weights to keep: with its biases ${shown.nonzeros()} nonzeros, ` +
      `${right}, the best of ${tried.toLocaleString("en")} smaller networks that were trained${advice}`
    );
  }

  /** Trains a network on. */
  *#recovered(network, origin, times = 1) {
    const { samples, order } = this.training;
    const recipe = { ...this.recovery, epochs: this.recovery.epochs * times };
    const training = new Training(network, samples, recipe, (epoch) => order(this.epoch + epoch));
    this.tried++;
    while (!training.done) {
      training.take();
      if (training.step % ELIMINATION.steps !== 0) continue;
      if (this.stage.stage === STAGES) this.stage.share = training.step / training.steps;
      yield;
    }
    return this.#measured(network, origin);
  }

  #offer(/** @type {Candidate} */ candidate) {
    if (keptWeights(candidate.network) <= this.keep) {
      this.found.push(candidate);
      return;
    }
    const size = candidate.network.nonzeros();
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
    return [...(this.waiting.get(network.nonzeros()) ?? []), ...this.found].some(same);
  }

  #show(/** @type {Candidate[]} */ candidates) {
    if (candidates.length === 0) return;
    const best = bestOf(candidates);
    this.shown.values.set(best.network.values);
    this.shown.kept.set(best.network.kept);
    this.later += this.recovery.epochs;
  }
}

function sumOf(items, /** @type {(item: any) => number} */ of) {
  return items.reduce((sum, item) => sum + of(item), 0);
}

function bestOf(/** @type {Candidate[]} */ candidates) {
  return candidates.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
}

DURING.Elimination = (training, keep, random) => new Elimination(training, keep, random);
