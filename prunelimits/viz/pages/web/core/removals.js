// Smaller copies of a network: without the weight, or the units, that the loss misses least.

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
 * mean answer in the next biases instead, the loss is least. One goes at least; every layer keeps
 * one.
 */
function withFewerUnits(/** @type {Network} */ network, /** @type {Samples} */ probe, share) {
  let less = network.copy();
  const passes = new Passes(network.widths, probe.size);
  const order = Uint32Array.from({ length: probe.size }, (_, i) => i);
  const used = usedUnits(less);
  for (let left = Math.max(1, Math.ceil(share * used.flat().length)); left > 0; left--) {
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
