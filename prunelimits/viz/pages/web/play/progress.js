// How far a training is, in words and as a bar.

class Progress {
  /** `page` announces what ended, for those who do not see it. */
  constructor(page) {
    this.page = page;
    this.text = document.getElementById("progress");
    this.bar = /** @type {HTMLProgressElement} */ (document.getElementById("how-far"));
    this.since = null; // where the rate is counted from
    this.rate = "";
    this.ends = 0; // that were announced
  }

  /** `later`: not to be shown yet. */
  show(report, later) {
    this.#count(report);
    if (later) return;
    const { ending, ends } = report;
    write(this.text, ending ? `Finished: ${ending}.` : this.#text(report));
    this.bar.value = this.#share(report);
    // The worker counts: a run may have ended before anything of it was drawn.
    if (ends > this.ends) this.page.announce(this.text.textContent);
    this.ends = ends;
  }

  #text({ epoch, lastEpoch, running, stage }) {
    const end = lastEpoch ? ` of ${number(lastEpoch)}` : "";
    if (!stage) return `epoch ${number(epoch)}${end}${this.rate}`;
    return `${running ? "" : "paused at "}stage ${stage.stage} of ${stage.of}: ${stage.text}`;
  }

  #share({ epoch, lastEpoch, stage, ending }) {
    if (ending) return 1;
    if (stage) return (stage.stage - 1 + stage.share) / stage.of;
    return lastEpoch ? epoch / lastEpoch : 0;
  }

  #count({ epoch, running }) {
    const now = performance.now();
    if (!running || this.since === null) {
      this.since = { epoch, now };
      this.rate = "";
    } else if (now > this.since.now + 1000) {
      const rate = (1000 * (epoch - this.since.epoch)) / (now - this.since.now);
      this.rate = rate > 0 ? `, ${rate.toPrecision(2)} a second` : "";
      this.since = { epoch, now };
    }
  }
}
