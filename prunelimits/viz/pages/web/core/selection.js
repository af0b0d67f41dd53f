// From scores and a budget to masks: exact to the weight, by one rule for ties.

/** The indices of a network's weights, in the order of its parameters, without the biases. */
function weightIndices(/** @type {Network} */ network) {
  const result = [];
  network.eachWeight((index) => result.push(index));
  return Uint32Array.from(result);
}

/** How many weights are kept. */
function keptWeights(/** @type {Network} */ network) {
  let count = 0;
  network.eachWeight((index) => {
    count += network.kept[index];
  });
  return count;
}

/**
 * Keeps the `keep` weights of the largest scores among those allowed; ties go to the lower index.
 * What is not allowed is never chosen while something that is allowed is left.
 *
 * @param {ArrayLike<number>} scores of every parameter
 * @param {ArrayLike<number>} allowed flags of every parameter
 * @param {Uint32Array} among the weights to choose from
 * @returns {Uint8Array} flags of every parameter; those outside `among` are 0
 */
function select(scores, allowed, among, keep) {
  const order = Array.from(among).filter((index) => allowed[index]);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const result = new Uint8Array(allowed.length);
  for (const index of order.slice(0, Math.max(0, keep))) result[index] = 1;
  return result;
}

/**
 * Every weight as the flags say; every bias by the paper's rule (Section 3.4): a hidden unit's is
 * there as long as the unit has a way on, an output's always.
 */
function setMasks(/** @type {Network} */ network, /** @type {Uint8Array} */ weights) {
  network.eachWeight((index) => {
    network.kept[index] = weights[index];
  });
  for (let layer = 1; layer <= network.last; layer++) {
    for (let unit = 0; unit < network.widths[layer]; unit++) {
      let used = layer === network.last ? 1 : 0;
      for (let next = 0; layer < network.last && next < network.widths[layer + 1]; next++) {
        used |= network.kept[network.weight(layer + 1, next, unit)];
      }
      network.kept[network.bias(layer, unit)] = used;
    }
  }
}
