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
    this.drawn = 0; // reports
  }

  tell(message) {
    this.worker.postMessage(message);
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
    const waits = this.report !== null;
    // Of networks the last alone is drawn; of curves every point.
    this.report = { ...message, points: [...(this.report?.points ?? []), ...message.points] };
    if (!waits) requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { report } = this;
    this.report = null;
    // The next is made while this one is drawn.
    this.tell({ kind: "seen" });
    this.drawn++;
    this.page.draw(report);
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
