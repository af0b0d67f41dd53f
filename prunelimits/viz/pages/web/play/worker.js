// The training beside the page, so that the page never waits for it.

const SLICE = 8; // milliseconds of work between two looks at the messages

let session = null;
let running = false;
let speed = Infinity; // epochs a second
let owed = 0; // steps that the speed allows
let before = 0; // when they were counted last
let shown = true; // whether the page has drawn the last report
let starts = 0; // trainings
let ends = 0; // of runs: at the last epoch, or by a pause
let edits = 0; // changes by hand that were taken in

const channel = new MessageChannel();
channel.port1.onmessage = () => tick();

function begin() {
  running = true;
  owed = 1;
  before = performance.now();
  tick();
}

function halt() {
  if (running) ends++;
  running = false;
}

function tick() {
  if (!running) return;
  const now = performance.now();
  const { stepsPerEpoch } = session.runner;
  owed += (speed * stepsPerEpoch * (now - before)) / 1000 || 0;
  owed = Math.min(owed, speed === Infinity ? Infinity : stepsPerEpoch);
  before = now;
  while (owed >= 1 && !session.done && performance.now() < now + SLICE) {
    session.take();
    owed--;
  }
  if (session.done) halt();
  if (shown || !running) report();
  if (!running) return;
  if (owed >= 1) channel.port2.postMessage(null);
  else setTimeout(tick, SLICE);
}

function report() {
  const { network, history, training } = session;
  shown = false;
  const points = history.splice(0); // the page keeps them
  postMessage({
    kind: "state",
    starts,
    edits,
    values: network.values,
    kept: network.kept,
    epoch: session.epoch,
    lastEpoch: session.lastEpoch,
    stage: session.stage,
    ending: session.ending,
    step: training.step,
    points,
    running,
    ends,
    done: session.done,
  });
}

const orders = {
  start({ settings, train, test, network }) {
    running = false;
    starts++;
    const given =
      network && new Network("", network.widths, network.values, network.kept, settings.activation);
    session = new Session(settings, train, test, given);
    report();
  },
  play() {
    if (session.done) session.trainOn();
    begin();
  },
  pause() {
    halt();
    report();
  },
  step({ epochs }) {
    halt();
    if (session.done) session.trainOn();
    const end = session.epoch + epochs;
    do session.take();
    while (session.epoch < end && !session.done);
    report();
  },
  prune({ method, keep }) {
    session.prune(method, keep);
    report();
  },
  edit({ changes }) {
    edits++;
    session.edit(changes);
    report();
  },
  set({ settings }) {
    session.set(settings);
  },
  speed({ rate }) {
    speed = rate;
    owed = 0;
  },
  film({ use }) {
    postMessage({ kind: "film", use, frames: session.film.frames });
  },
  seen() {
    shown = true;
  },
};

onmessage = ({ data }) => {
  try {
    orders[data.kind](data);
  } catch (error) {
    postMessage({ kind: "refused", reason: error.message });
  }
};
