// The page's side of the worker: orders go there, and what it reports is drawn in the next frame.

class Trainer {
  /** `page` is asked to `draw` a report, and to `say` or `takeFilm`. */
  constructor(page) {
    this.page = page;
    const program = document.getElementById("worker").textContent;
    const file = new Blob([program], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(file));
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.report = null; // that is not drawn yet
    this.points = []; // of curves, since the last picture
    this.drawn = 0; // reports
    this.frame = null;
    this.starts = 0; // trainings
    this.edits = 0; // changes by hand
  }

  tell(message) {
    this.worker.postMessage(message);
  }

  /** Another training: no report of the one before is drawn any more. */
  start(training) {
    this.starts++;
    [this.report, this.points] = [null, []];
    this.tell({ kind: "start", ...training });
  }

  /** What was changed by hand: a report made before it was taken in is not drawn any more. */
  edit(changes) {
    this.edits++;
    this.report = null;
    this.tell({ kind: "edit", changes });
  }

  #hear(message) {
    if (message.kind === "refused") {
      this.page.say(`${message.reason}.`);
      return;
    }
    if (message.kind === "film") {
      this.page.takeFilm(message);
      return;
    }
    if (message.starts < this.starts) return;
    // Of networks the last alone is drawn; of curves every point.
    this.points.push(...message.points);
    if (message.edits < this.edits) return;
    this.report = message;
    this.frame ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { report, points } = this;
    this.frame = null;
    if (report === null) return;
    [this.report, this.points] = [null, []];
    // The next is made while this one is drawn.
    this.tell({ kind: "seen" });
    this.drawn++;
    this.page.draw({ ...report, points });
  }

  /** How fast it goes, over some seconds: epochs and pictures a second. */
  async pace(seconds) {
    const epochs = () => Number(document.getElementById("play").dataset.epoch);
    const before = { epochs: epochs(), drawn: this.drawn, now: performance.now() };
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    const past = (performance.now() - before.now) / 1000;
    return {
      epochs: (epochs() - before.epochs) / past,
      pictures: (this.drawn - before.drawn) / past,
    };
  }
}
