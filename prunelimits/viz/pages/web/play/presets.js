// What one can begin with: runs like those of the paper's figures, and networks that were kept.

class Presets {
  /** `known`: {id, group, label, about, settings, network: encoded or null}[]. */
  constructor(page, known) {
    this.page = page;
    this.known = known;
    this.select = /** @type {HTMLSelectElement} */ (document.getElementById("preset"));
    const groups = d3.groups(known, ({ group }) => group);
    const select = d3.select(this.select);
    select.append("option").attr("value", "").text("a random start");
    for (const [group, presets] of groups) {
      const options = select.append("optgroup").attr("label", group).selectAll("option");
      options
        .data(presets)
        .join("option")
        .attr("value", ({ id }) => id)
        .text(({ label }) => label);
    }
    select.on("change", () => this.choose(this.select.value));
  }

  /** Sets everything as a preset has it; an empty id: the page's own settings. */
  choose(/** @type {string} */ id) {
    const preset = this.known.find((one) => one.id === id);
    const start = preset?.network ? id : OWN_START;
    const given = preset?.network ? Network.decode(preset.network) : null;
    this.page.beginWith({ ...defaultSettings(), ...preset?.settings, start }, given);
    this.select.value = id;
    this.#explain(preset);
  }

  /** The network of a preset; throws an Error if there is none of that name. */
  network(/** @type {string} */ id) {
    const preset = this.known.find((one) => one.id === id && one.network);
    if (!preset) {
      const ids = this.known.filter(({ network }) => network).map((one) => one.id);
      throw new Error(`start must be one of ${[OWN_START, ...ids].join(", ")}, got ${shortened(id)}`);
    }
    return Network.decode(preset.network);
  }

  /** Shows where the page begins now. */
  show(/** @type {string} */ start) {
    this.select.value = start === OWN_START ? "" : start;
    this.#explain(this.known.find(({ id }) => id === start));
  }

  #explain(preset) {
    document.getElementById("preset-about").textContent = preset?.about ?? "";
  }
}
