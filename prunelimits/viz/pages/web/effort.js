// How much a frame may compute: less while something moves, more when it rests.

const MOVING_PLANE = 2e6; // multiply-adds a frame, a few milliseconds each
const MOVING_DATA = 3e6;
const RESTING_PLANE = 6e7;
const RESTING_DATA = 4e7; // beyond this, the data are counted in parts
const SIDES = [256, 192, 128, 96, 64, 48, 32, 24]; // pixels along a side of the plane

const PAINTING = 4; // what painting a point of a unit takes, in multiply-adds

/** The finest resolution of the plane that the time allows. */
function planeSide(nonzeros, units, moving) {
  const points = (moving ? MOVING_PLANE : RESTING_PLANE) / (nonzeros + PAINTING * units);
  return SIDES.find((side) => side * side <= points) ?? SIDES.at(-1);
}

/** Every how many points the data are thinned, where all together would take some `work`. */
function movingStep(work) {
  const step = Math.max(1, work / MOVING_DATA);
  return 2 ** Math.ceil(Math.log2(step)); // few different ones: each is kept
}

/**
 * Counts the points that are classified right, a part at a time, so that the page stays awake.
 * Returns a function that stops the counting.
 */
function countInParts(network, { data, features }, done) {
  const size = Math.max(1000, Math.floor(RESTING_DATA / 4 / Math.max(1, network.nonzeros())));
  let stopped = false;
  let correct = 0;
  const next = (start) => {
    if (stopped) return;
    if (start >= data.size) {
      done(correct);
      return;
    }
    const part = data.part(start, Math.min(start + size, data.size));
    const responses = new Responses(featureColumns(part.inputs, features));
    responses.refresh(network);
    correct += responses.correct(part.labels);
    setTimeout(() => next(start + size));
  };
  next(0);
  return () => {
    stopped = true;
  };
}
