// A first visit in five steps; each says what to look at, and does its part for the reader.

/** `text` and `act` are given the page; `label` is on its button. */
const STORY = [
  {
    title: "What the picture shows",
    text: () =>
      "Inputs at the left, the decision at the right. Each square is a unit, with its answer at " +
      "every point of the plane; each curve is a weight, blue if positive, orange if negative. The " +
      "network is to tell the two arms of the spiral apart, and has learnt nothing yet.",
  },
  {
    title: "Train",
    text: (page) =>
      `All ${weightsOf(page)} weights learn. Watch the squares take shape and the accuracy rise.`,
    label: "Train it",
    act: (page) => page.train(),
  },
  {
    title: "Prune",
    text: (page) =>
      `To prune is to set weights to zero for good. Few of the ${weightsOf(page)} are needed: GMP, a ` +
      "common method, removes the smallest little by little while a new training goes on, until 60 " +
      "are left.",
    label: "Train and prune with GMP",
    act: (page) => page.choose("GMP", 60),
  },
  {
    title: "See the waste",
    text: (page) => wasteOf(page.views[0]),
    label: "Remove the waste: the accuracy stays",
    act: (page) => page.removeWaste(),
  },
  {
    title: "Beat the record",
    text: (page) => recordOf(page.records.known),
    label: "Eliminate down to 18 weights",
    act: (page) => page.choose("Elimination", 18),
  },
];

/** How many weights a network of the settings has. */
function weightsOf({ settings, outputs }) {
  return number(weightCount(settings, outputs));
}

/** What of a network does nothing, in numbers. */
function wasteOf({ network, reach }) {
  if (!network) return "";
  const nonzeros = network.nonzeros();
  const [cut, constant] = ["cut", "constant"].map((state) => reach.parameters(state).length);
  const kinds = [
    cut > 0 && `${number(cut)} on no path from an input to the output (dashed, grey)`,
    constant > 0 && `${number(constant)} with the same number whatever the input (dotted)`,
  ].filter(Boolean);
  if (kinds.length === 0) return `${number(nonzeros)} weights and biases are left, none in vain.`;
  return (
    `${number(nonzeros)} weights and biases are left; ${number(cut + constant)} of them are wasted: ` +
    `${kinds.join(", ")}. They are stored and computed, and decide nothing.`
  );
}

/** How few have been enough. */
function recordOf(known) {
  const paper = known.find(({ who }) => who === "the paper's search");
  const [untied, best] = [known.findLast((row) => row.untied), known.at(-1)];
  const both = ({ nonzeros }) => nonzeros.join(" and ");
  return (
    `The sparsest networks known for the Cubist Spiral have ${best.nonzeros[0]} nonzeros, weights ` +
    `and biases together, at 95 % and ${best.nonzeros[1]} at 99.5 % (` +
    `${both(untied) === both(best) ? "also" : both(untied)} where no tie decides; the paper's ` +
    `search: ${both(paper)}). Elimination, a minute or two, comes far closer ` +
    "than GMP. Prune by hand, try fewer units: can you do with less?"
  );
}

class Story {
  constructor(page) {
    this.page = page;
    this.root = document.getElementById("story");
    this.step = 0;
    const listen = (id, action) => document.getElementById(id).addEventListener("click", action);
    listen("story-back", () => this.go(this.step - 1));
    listen("story-next", () => this.go(this.step + 1));
    listen("story-act", () => this.#act());
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
    const { title, label = "" } = STORY[this.step];
    const say = (id, words) => write(document.getElementById(id), words);
    say("story-title", `${this.step + 1} of ${STORY.length}: ${title}`);
    say("story-text", this.#text());
    say("story-act", label);
    say("story-next", this.step === STORY.length - 1 ? "Done" : "Next");
    document.getElementById("story-act").hidden = label === "";
    document.getElementById("story-back").hidden = this.step === 0;
  }

  /** What it says of the network, as that is now. */
  refresh() {
    if (!this.root.hidden) write(document.getElementById("story-text"), this.#text());
  }

  #text() {
    return STORY[this.step].text(this.page);
  }

  #act() {
    STORY[this.step].act(this.page);
    this.#reveal();
  }

  /** Scrolls to the network, once it is there, where it is far: on small screens. */
  #reveal(frames = 300) {
    if (this.page.fresh) {
      if (frames > 0) requestAnimationFrame(() => this.#reveal(frames - 1));
      return;
    }
    const { stage } = this.page.views[0];
    const { top, bottom } = stage.getBoundingClientRect();
    if (top > innerHeight / 2 || bottom < innerHeight / 2) stage.scrollIntoView();
  }
}
