// What the network on a view answers: over the plane as finely, and on as many data, as time allows.

class Answers {
  constructor(content) {
    this.content = content;
    this.planes = new Map(); // side -> Responses on the plane
    this.samples = new Map(); // step -> Responses on every step-th point, with their labels
    this.correct = null; // points classified right, of all; null: not yet counted
  }

  /** Forgets everything, for another network. */
  forget() {
    this.#stop();
    for (const responses of this.#all()) responses.forget();
  }

  /** Notes that a parameter of a unit has changed. */
  touch(layer, unit) {
    this.#stop();
    for (const responses of this.#all()) responses.touch(layer, unit);
  }

  /** The responses over the plane: null where there is none. */
  onPlane(network, units, moving) {
    if (!this.content.plane) return null;
    const side = planeSide(network.nonzeros(), units, moving);
    if (!this.planes.has(side)) {
      const points = planePoints(side, this.content.extent);
      this.planes.set(side, new Responses(featureColumns(points, this.content.features)));
    }
    const responses = this.planes.get(side);
    responses.refresh(network);
    return responses;
  }

  /** `{responses, labels, share}` on the data, where few enough then all: null without data. */
  onData(network, moving) {
    const { data } = this.content;
    if (!data) return null;
    const work = data.size * network.nonzeros();
    const step = !moving && work <= RESTING_DATA ? 1 : movingStep(work);
    const sample = this.#sample(step);
    sample.responses.refresh(network);
    const correct = sample.responses.correct(sample.labels);
    if (step === 1) this.correct = correct;
    return { ...sample, share: correct / sample.labels.length };
  }

  /** Counts all points, if that has not been done, and then calls `done`. */
  count(network, done) {
    if (this.correct !== null || !this.content.data) {
      done();
      return;
    }
    this.stopCounting ??= countInParts(network, this.content, (correct) => {
      this.correct = correct;
      done();
    });
  }

  #sample(step) {
    if (!this.samples.has(step)) {
      const data = this.content.data.thinned(step);
      const responses = new Responses(featureColumns(data.inputs, this.content.features));
      this.samples.set(step, { responses, labels: data.labels });
    }
    return this.samples.get(step);
  }

  #all() {
    return [
      ...this.planes.values(),
      ...[...this.samples.values()].map(({ responses }) => responses),
    ];
  }

  #stop() {
    this.stopCounting?.();
    this.stopCounting = null;
    this.correct = null;
  }
}
