// The numbers above a network, each with its change since the network was opened.

class Counts {
  constructor(root, content) {
    this.root = root;
    this.content = content;
  }

  /** Begins to count changes from here. */
  begin() {
    this.begun = {};
  }

  /** `accuracy`: on a sample of the data; the exact one is `correct`, where it is known. */
  show(network, reach, accuracy, correct) {
    const hidden = d3.sum(network.widths.slice(1, -1));
    const [nonzeros, effective] = [network.nonzeros(), reach.parameters("live").length];
    this.#show("nonzeros", nonzeros, number);
    this.#show("effective", effective, number);
    const waste = nonzeros > effective ? `${number(nonzeros - effective)} wasted` : "";
    write(this.root.querySelector(".waste"), waste);
    this.#show("units", reach.liveUnits(), (units) => `${number(units)} of ${number(hidden)}`);
    const { data, paths } = this.content;
    if (paths) this.#write("paths", countPaths(network).toLocaleString("en"), "");
    if (!data) {
      this.#write("accuracy", "no data", "");
    } else if (correct === null) {
      this.#write("accuracy", `≈ ${percent(accuracy)}`, "");
    } else {
      this.#show("accuracy", (100 * correct) / data.size, (points) => percent(points / 100));
      const exact = `${number(correct)} of ${number(data.size)} points`;
      this.root.querySelector("[data-count=accuracy]").title = exact;
    }
  }

  #show(name, value, format) {
    this.begun[name] ??= value;
    const change = value - this.begun[name];
    const size = Number.isInteger(change) ? number(Math.abs(change)) : Math.abs(change).toFixed(2);
    const visible = change !== 0 && size !== "0.00";
    this.#write(name, format(value), visible ? `${change > 0 ? "+" : "−"}${size}` : "");
  }

  #write(name, value, change) {
    const place = this.root.querySelector(`[data-count=${name}]`);
    write(place.querySelector(".value"), value);
    write(place.querySelector(".change"), change);
  }
}
