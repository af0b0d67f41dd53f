// The methods that prune at once. Names and numbers are those of `prunelimits.pruners`.

/**
 * How they score, how often, on how many of the training's first batches, and whether weights
 * return. `relu`: whether the score's formula holds for ReLU networks alone.
 *
 * @typedef {{uniform(): number}} Uniform a source of numbers in [0, 1)
 * @typedef {(network: Network, batches: Samples[], random: Uniform) => ArrayLike<number>} Score
 * @typedef {{score: Score, rounds: number, batches: number, revive: boolean, relu: boolean}} AtOnce
 * @type {Object<string, AtOnce>}
 */
const AT_ONCE = {
  Magnitude: { score: magnitudeScores, rounds: 1, batches: 0, revive: false, relu: false },
  Random: {
    score: (network, _, random) => randomScores(network, random),
    rounds: 1,
    batches: 0,
    revive: false,
    relu: false,
  },
  SNIP: { score: snipScores, rounds: 1, batches: 1, revive: false, relu: false },
  GraSP: {
    score: (network, batches) => graspScores(network, batches),
    rounds: 1,
    batches: 2,
    revive: false,
    relu: true,
  },
  SynFlow: { score: synflowScores, rounds: 100, batches: 0, revive: false, relu: true },
  IterSNIP: { score: snipScores, rounds: 10, batches: 10, revive: false, relu: false },
  FORCE: { score: snipScores, rounds: 10, batches: 10, revive: true, relu: false },
};

/**
 * Prunes a network to exactly `keep` weights, among those that it has now.
 *
 * @param {Samples[]} batches of one size; of several rounds, each has one to itself, in turn
 */
function pruneAtOnce(
  /** @type {Network} */ network,
  /** @type {string} */ method,
  /** @type {number} */ keep,
  batches,
  /** @type {Uniform} */ random,
) {
  const { score, rounds, revive, relu } = AT_ONCE[method];
  if (relu && network.activation !== "relu") {
    throw new Error(`${method} scores ReLU networks only, this one has ${network.activation}`);
  }
  const weights = weightIndices(network);
  const allowed = network.kept.slice();
  const from = keptWeights(network);
  for (let round = 1; round <= rounds; round++) {
    const seen = rounds === 1 ? batches : batches.slice((round - 1) % batches.length).slice(0, 1);
    const scores = score(network, seen, random);
    const left = exponentialBudget(from, keep, round / rounds);
    const among = revive ? allowed : network.kept.slice();
    const masks = select(scores, among, weights, left);
    // Biases stay as they are between rounds: only the last masks rule them.
    for (const index of weights) network.kept[index] = masks[index];
  }
  setMasks(network, network.kept.slice());
}
