// The sparsest networks known, and how far the reader has got beside them.

const TARGETS = [0.95, 0.995];

/** How many nonzeros it took, one number a target; null: the target is not reached.
 * @typedef {(number|null)[]} Nonzeros */

class Records {
  /** `known`: {who, nonzeros, untied: whether no tie decides}[], the largest first. */
  constructor(known) {
    this.known = known;
    /** @type {Nonzeros} as the paper counts: a tie, an output of exactly zero, is class 0 */
    this.best = TARGETS.map(() => null);
    /** @type {Nonzeros} where a tie is wrong */
    this.untied = TARGETS.map(() => null);
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
      for (const [best, accuracy] of [
        [this.best, train.accuracy],
        [this.untied, train.untied],
      ]) {
        TARGETS.forEach((target, i) => {
          if (accuracy < target || nonzeros >= (best[i] ?? begun)) return;
          best[i] = nonzeros;
          better = true;
        });
      }
    }
    if (better) this.draw();
  }

  draw() {
    const shown = (nonzeros) => (nonzeros === null ? "–" : number(nonzeros));
    const own = [
      { who: "You, in this visit", nonzeros: this.best },
      { who: "You, where no tie decides", nonzeros: this.untied },
    ];
    d3.select("#records tbody")
      .selectAll("tr")
      .data([...this.known, ...own])
      .join((enter) => {
        const row = enter.append("tr");
        row.append("th").attr("scope", "row");
        for (const _ of TARGETS) row.append("td");
        return row;
      })
      .classed("own", (_, i) => i >= this.known.length)
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
    const rivals = this.known.filter(({ nonzeros: [theirs] }) => theirs !== null);
    const passed = rivals.filter(({ nonzeros: [theirs], untied }) => {
      const [own] = untied ? this.untied : this.best;
      return own !== null && own < theirs;
    });
    if (passed.length === 0) return `${number(mine)} at 95 %: none is passed yet.`;
    if (passed.includes(rivals.at(-1))) {
      return `${number(mine)} at 95 %: a record. Download it, and tell us.`;
    }
    return `${number(mine)} at 95 %: fewer than ${passed.at(-1).who}.`;
  }
}
