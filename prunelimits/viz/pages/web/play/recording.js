// The steps of a session, for its film: what happened, and the network then.

const MOST_FRAMES = 100;

/** @typedef {{label: string, event: string, accuracy: number, values: Float32Array,
 *   kept: Uint8Array}} Frame */

class Recording {
  constructor() {
    /** @type {Frame[]} */
    this.frames = [];
  }

  /** Takes a frame; of a hand's many small changes the last alone. */
  note(/** @type {Network} */ network, { epoch, train }, event = "") {
    const label = event ? `epoch ${epoch}: ${event}` : `epoch ${epoch}`;
    const { frames } = this;
    if (event === "by hand" && frames.at(-1)?.label === label) frames.pop();
    const [values, kept] = [network.values.slice(), network.kept.slice()];
    frames.push({ label, event, accuracy: train.accuracy, values, kept });
    if (frames.length > MOST_FRAMES) this.frames = thinnedFrames(frames);
  }
}

/** Every second frame; what happened stays, where that alone is not too much. */
function thinnedFrames(/** @type {Frame[]} */ frames) {
  const last = frames.length - 1;
  const thinned = (/** @type {(frame: Frame) => boolean} */ stays) =>
    frames.filter((frame, i) => i % 2 === 0 || i === last || stays(frame));
  const few = thinned(({ event }) => event !== "");
  return few.length <= MOST_FRAMES - 10 ? few : thinned(() => false);
}
