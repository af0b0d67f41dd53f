// A first visit in five steps; each says what to look at, and does its part for the reader.

/** `act` is given the page; `label` is on its button. */
const STORY = [
  {
    title: "What the picture shows",
    text:
      "Two inputs at the left, the decision at the right. A square is a unit, with what it answers " +
      "over the plane; a curve is a weight, blue where it is positive, orange where it is negative. " +
      "The network is to part the two arms of the spiral, and knows nothing yet.",
  },
  {
    title: "Train",
    text: "All 560 weights learn. Watch the squares take shape and the accuracy rise.",
    label: "Train it",
    act: (page) => page.train(),
  },
  {
    title: "Prune",
    text:
      "Few of these weights are needed. GMP, a common method, removes the smallest little by " +
      "little while a new training goes on, until 60 are left.",
    label: "Train and prune with GMP",
    act: (page) => page.choose("GMP", 60),
  },
  {
    title: "See the waste",
    text:
      "Dashed and grey: on no way to the output. Dotted: carries a constant only. Such weights " +
      "count as nonzeros and are not effective; the two numbers above the network differ by them.",
    label: "Remove what is disconnected",
    act: (page) => page.removeDisconnected(),
  },
  {
    title: "Beat the record",
    text: "",
    label: "Eliminate down to 20 weights",
    act: (page) => page.choose("Elimination", 20),
  },
];

class Story {
  constructor(page) {
    this.page = page;
    this.root = document.getElementById("story");
    this.step = 0;
    const listen = (id, action) => document.getElementById(id).addEventListener("click", action);
    listen("story-back", () => this.go(this.step - 1));
    listen("story-next", () => this.go(this.step + 1));
    listen("story-act", () => STORY[this.step].act(page));
    listen("story-skip", () => this.close());
    listen("tour", () => this.open());
  }

  open() {
    this.root.hidden = false;
    this.go(0);
  }

  close() {
    this.root.hidden = true;
    document.getElementById("tour").focus();
  }

  go(step) {
    if (step >= STORY.length) {
      this.close();
      return;
    }
    this.step = Math.max(0, step);
    const { title, text, label = "" } = STORY[this.step];
    const write = (id, words) => (document.getElementById(id).textContent = words);
    write("story-title", `${this.step + 1} of ${STORY.length}: ${title}`);
    write("story-text", text || this.#record());
    write("story-act", label);
    write("story-next", this.step === STORY.length - 1 ? "Done" : "Next");
    document.getElementById("story-act").hidden = label === "";
    document.getElementById("story-back").hidden = this.step === 0;
  }

  #record() {
    const { known } = this.page.records;
    const paper = known.find(({ who }) => who === "the paper's search");
    const [untied, best] = [known.findLast((row) => row.untied), known.at(-1)];
    const each = TARGETS.map((target, i) => {
      const here = `${best.nonzeros[i]} (${untied.nonzeros[i]} where no tie decides)`;
      return `${here} at ${100 * target} %, the paper's search ${paper.nonzeros[i]}`;
    });
    return (
      `The sparsest networks known for the Cubist Spiral: ${each.join("; ")} nonzeros, ` +
      "weights and biases together. Elimination, which takes a minute, comes far closer " +
      "than GMP. Train on, prune by hand, try fewer units: can you do with less?"
    );
  }
}
