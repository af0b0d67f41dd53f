// When rounds of pruning fall, and how many weights each leaves. See `prunelimits.pruners`.

/** What survives of `from` when a constant share goes each time: from (to / from)^progress. */
function exponentialBudget(from, to, progress) {
  return clamped(from * (to / Math.max(1, from)) ** progress, to, from);
}

/** What survives when pruning slows down: to + (from - to)(1 - progress)^3. */
function cubicBudget(from, to, progress) {
  return clamped(to + (from - to) * (1 - progress) ** 3, to, from);
}

/** The nearest whole number, the even one of two, between the ends: as torch rounds. */
function clamped(value, least, most) {
  const below = Math.floor(value);
  const rest = value - below;
  const nearest = rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
  return Math.min(most, Math.max(least, nearest));
}

/**
 * After which steps (from 1) the rounds of a method fall: round r after r intervals. A training too
 * short for that has them spread evenly, several after one step.
 *
 * @param {number} steps of the whole training
 * @param {number} rounds
 * @param {[number, number]} until the share of the training after which the last falls, a fraction
 */
function updateSteps(steps, rounds, [numerator, denominator]) {
  const reach = steps * numerator; // in units of 1 / denominator steps
  const interval = Math.max(1, Math.floor(reach / (denominator * rounds)));
  const numbers = Array.from({ length: rounds }, (_, i) => i + 1);
  if (reach >= rounds * denominator) return numbers.map((round) => round * interval);
  return numbers.map((round) => Math.ceil((round * reach) / (rounds * denominator)));
}
