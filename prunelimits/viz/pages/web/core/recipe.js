// How to train: the numbers of an SGD run, as `prunelimits.Recipe` has them.

/** @typedef {{epochs: number, batchSize: number, lr: number, momentum: number,
 *   weightDecay: number, schedule: "constant"|"cosine"|"step", l1?: number}} Recipe */

/** @type {Recipe} */
const PAPER_RECIPE = {
  epochs: 50,
  batchSize: 128,
  lr: 0.05,
  momentum: 0.9,
  weightDecay: 5e-4,
  schedule: "cosine",
};

/** The learning rate of an epoch, counted from 0; past the last it stays what it was there. */
function learningRate(/** @type {Recipe} */ recipe, /** @type {number} */ epoch) {
  const { epochs, lr, schedule } = recipe;
  const e = Math.min(epoch, epochs - 1);
  if (schedule === "constant") return lr;
  if (schedule === "cosine") return (lr * (1 + Math.cos((Math.PI * e) / epochs))) / 2;
  const drops = (10 * e >= 3 * epochs ? 1 : 0) + (10 * e >= 6 * epochs ? 1 : 0);
  return lr * 0.1 ** drops;
}
