// A network with its data, trained and pruned step by step: the same for the same seed.

class Session {
  /**
   * @param {object} settings as in settings.js
   * @param {Samples} train in the plane, as `test`; the settings say what of it are inputs
   * @param {Samples} test
   * @param {Network|null} given where to start from; null: a random start
   */
  constructor(settings, train, test, given = null) {
    if (train.size === 0) throw new Error("no sample is left to train on: lower the test share");
    this.settings = settings;
    this.train = withFeatures(train, settings.inputs);
    this.test = withFeatures(test, settings.inputs);
    const classes = train.y.reduce((most, label) => Math.max(most, label + 1), 2);
    const widths = [settings.inputs.length, ...settings.hidden, classes > 2 ? classes : 1];
    this.network = given?.copy() ?? freshNetwork(widths, new Random(settings.seed));
    this.network.activation = settings.activation;
    this.film = new Recording();
    this.epochs = 0; // of the trainings before this one
    this.history = [];
    this.#train();
    if (Object.hasOwn(DURING, settings.method)) {
      this.checkBudget(settings.keep);
      const random = new Random(settings.seed + 1);
      this.method = DURING[settings.method](this.training, settings.keep, random);
    }
    this.note(settings.method === "none" ? "" : `${settings.method} begins`);
  }

  #train() {
    const { network, train, settings } = this;
    this.recipe = /** @type {Recipe} */ ({ epochs: settings.epochs });
    this.set(settings);
    this.training = new Training(network, train, this.recipe, (epoch) => this.order(epoch));
    this.method = null;
  }

  /** Changes what can be changed while a network trains. */
  set({ lr, l1, l2, momentum, schedule }) {
    const batchSize = Math.min(this.settings.batch, this.train.size);
    Object.assign(this.recipe, { lr, l1, weightDecay: l2, momentum, schedule, batchSize });
  }

  order(epoch) {
    return new Random(Math.imul(this.settings.seed + 1, 0x9e3779b1) + epoch).permutation(
      this.train.size,
    );
  }

  get runner() {
    return this.method ?? this.training;
  }

  get done() {
    return this.runner.done;
  }

  /** Epochs done, those of earlier trainings included. */
  get epoch() {
    return this.epochs + this.runner.epoch;
  }

  /** How many epochs there will be; null where that is not known. */
  get lastEpoch() {
    const { lastEpoch } = this.runner;
    return lastEpoch === null ? null : this.epochs + lastEpoch;
  }

  /** What a method of several stages is at; null: there is none. */
  get stage() {
    return this.method?.stage ?? null;
  }

  /** Why a method stopped, once it has. */
  get ending() {
    return this.method?.ending ?? "";
  }

  /** One step; at the end of an epoch also measures. */
  take() {
    const before = this.epoch;
    this.runner.take();
    if (this.epoch !== before) this.note();
  }

  /** Begins another training from the network as it is, with the masks that it has. */
  trainOn() {
    this.epochs = this.epoch;
    this.#train();
  }

  /** Prunes at once, to exactly so many weights. */
  prune(method, keep) {
    this.checkBudget(keep);
    const count = AT_ONCE[method].batches;
    const size = this.recipe.batchSize;
    const order = this.order(0);
    const batches = [];
    for (let i = 0; i < Math.min(count, this.training.stepsPerEpoch); i++) {
      batches.push(chosenSamples(this.train, order.subarray(i * size, (i + 1) * size)));
    }
    pruneAtOnce(this.network, method, keep, batches, new Random(this.settings.seed + 2));
    this.note(`${method} keeps ${keep}`);
  }

  checkBudget(keep) {
    const most = keptWeights(this.network);
    if (keep > most) {
      throw new Error(`the network has ${most} weights left, fewer than the ${keep} to keep`);
    }
  }

  /** Changes parameters by hand. */
  edit(changes) {
    for (const { index, value, kept } of changes) {
      this.network.values[index] = value;
      this.network.kept[index] = kept;
    }
    if (this.method instanceof Elimination) this.method.edited();
    this.note("by hand");
  }

  /** Measures, for the curves and the film; `event`: what has just happened, other than training. */
  note(event = "") {
    const { network, train, test, epoch } = this;
    const point = { epoch, train: measure(network, train), test: null, weights: 0, nonzeros: 0 };
    if (test.size > 0) point.test = measure(network, test);
    point.weights = keptWeights(network);
    point.nonzeros = network.nonzeros();
    this.history.push(point);
    this.film.note(network, point, event);
  }
}

/** The samples at some places. */
function chosenSamples(/** @type {Samples} */ { x, y, inputs }, /** @type {Uint32Array} */ places) {
  const chosen = new Float32Array(places.length * inputs);
  places.forEach((place, i) => {
    chosen.set(x.subarray(place * inputs, (place + 1) * inputs), i * inputs);
  });
  return { x: chosen, y: Uint16Array.from(places, (i) => y[i]), inputs, size: places.length };
}
