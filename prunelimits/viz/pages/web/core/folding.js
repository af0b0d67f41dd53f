// What can be taken out of a network without changing what it answers.

/** @typedef {{index: number, value: number, kept: number}} Change what a parameter becomes */

/**
 * Removes what takes no part in any output.
 *
 * @returns {Change[]}
 */
function withoutDisconnected(/** @type {Network} */ network) {
  const cut = new Reach(network).parameters("cut");
  return cut.map((index) => ({ index, value: network.values[index], kept: 0 }));
}

/**
 * Moves what units without inputs add to the next layer into its biases, and removes what is then
 * on no path from an input to an output, as `prunelimits.connectivity.fold_constants` does.
 *
 * @returns {Change[]}
 */
function foldedConstants(/** @type {Network} */ network) {
  const folded = network.copy();
  const { fed } = new Reach(network);
  const { of } = ACTIVATIONS[network.activation];
  let constants = new Float32Array(network.widths[0]);
  for (let layer = 1; layer <= network.last; layer++) {
    const next = new Float32Array(network.widths[layer]);
    for (let unit = 0; unit < next.length; unit++) {
      const bias = network.bias(layer, unit);
      let moved = 0;
      constants.forEach((constant, source) => {
        moved += network.effect(network.weight(layer, unit, source)) * constant;
      });
      if (moved !== 0) {
        folded.values[bias] = network.effect(bias) + moved;
        folded.kept[bias] = 1;
      }
      if (!fed[layer][unit]) next[unit] = of(folded.effect(bias));
    }
    constants = next;
  }
  const reach = new Reach(folded);
  const changes = [];
  for (let index = 0; index < folded.values.length; index++) {
    const value = folded.values[index];
    const kept = reach.parameter(index) === "live" ? 1 : 0;
    if (!Number.isFinite(value)) throw new Error("a constant is too large for float32");
    const same = kept === 0 ? !network.alive(index) : value === network.effect(index);
    if (!same) changes.push({ index, value, kept });
  }
  return changes;
}
