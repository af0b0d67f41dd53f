// The sparsest networks known, and how far the reader has got beside them.

const TARGETS = [0.95, 0.995];

class Records {
  /** `known`: {who, nonzeros: one a target or null}[], the largest first. */
  constructor(known) {
    this.known = known;
    this.best = TARGETS.map(() => null);
    this.draw();
  }

  /**
   * Takes note of what a training of these settings gave; `begun`: the nonzeros of a preset that it
   * began with, which are not the reader's own.
   */
  note({ data, noise }, points, begun = Infinity) {
    if (data !== "cubist" || noise !== 0) return;
    let better = false;
    for (const { train, nonzeros } of points) {
      TARGETS.forEach((target, i) => {
        if (train.accuracy < target || nonzeros >= (this.best[i] ?? begun)) return;
        this.best[i] = nonzeros;
        better = true;
      });
    }
    if (better) this.draw();
  }

  draw() {
    const shown = (nonzeros) => (nonzeros === null ? "–" : number(nonzeros));
    d3.select("#records tbody")
      .selectAll("tr")
      .data([...this.known, { who: "You, in this visit", nonzeros: this.best, own: true }])
      .join((enter) => {
        const row = enter.append("tr");
        row.append("th").attr("scope", "row");
        for (const _ of TARGETS) row.append("td");
        return row;
      })
      .classed("own", ({ own }) => own === true)
      .each(function ({ who, nonzeros }) {
        const [name, ...cells] = this.children;
        name.textContent = who;
        cells.forEach((cell, i) => (cell.textContent = shown(nonzeros[i])));
      });
    document.getElementById("standing").textContent = this.standing();
  }

  /** Whom the reader has passed at the first target, in words. */
  standing() {
    const [mine] = this.best;
    if (mine === null) {
      return "Reach 95 % of the training data with as few weights and biases as you can.";
    }
    const passed = this.known.filter(({ nonzeros: [theirs] }) => theirs !== null && mine < theirs);
    if (passed.length === 0) return `${number(mine)} at 95 %: none is passed yet.`;
    if (passed.length === this.known.filter(({ nonzeros: [theirs] }) => theirs !== null).length) {
      return `${number(mine)} at 95 %: a record. Download it, and tell us.`;
    }
    return `${number(mine)} at 95 %: fewer than ${passed.at(-1).who}.`;
  }
}
