// When a view is painted, and how finely: fast while something moves, exactly when it rests.

const REST_AFTER = 120; // milliseconds without a change
// While a training runs, numbers and weights change more slowly than images:
const TELL_EVERY = 125; // milliseconds at least,
const TELL_AFTER = 4; // and pictures

class Painter {
  constructor(view) {
    this.view = view;
    this.moving = false;
    this.painted = false; // whether the canvases hold what they held last
    this.shown = null; // the responses that are on the canvases
    this.told = -Infinity; // when numbers and weights were brought up to date
    this.pictures = 0; // since then
    this.frame = null;
    this.rest = 0;
  }

  /** Whether numbers and weights are so new that nobody would see them change. */
  get fresh() {
    const soon = performance.now() < this.told + TELL_EVERY || this.pictures < TELL_AFTER;
    return this.painted && soon;
  }

  /** Paints in the next frame; `moving`: something changes, so that there must be many frames. */
  request(moving) {
    this.moving = moving;
    this.#busy(true);
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint(this.moving);
      clearTimeout(this.rest);
      if (!this.moving || this.view.following) return;
      this.rest = setTimeout(() => this.request(false), REST_AFTER);
    });
  }

  /** Paints everything at once, in the colours that are now in force. */
  repaint() {
    this.view.diagram.forget();
    this.painted = false;
    this.paint(false);
  }

  /** What stands on the canvases is not to be kept. */
  forget() {
    this.painted = false;
  }

  paint(moving) {
    const { view } = this;
    const { network, answers, diagram, region } = view;
    const following = moving && view.following && view.content.plane;
    const exact = !following || !this.fresh;
    const onData = following ? null : answers.onData(network, moving);
    const responses = answers.onPlane(network, diagram.units.size(), moving) ?? onData.responses;
    // What stands on the canvases already need not be painted again.
    const changed = this.shown === responses && this.painted ? responses.changed : null;
    this.shown = responses;
    this.painted = true;
    this.pictures++;
    const { labels = null, share = view.share } = onData ?? {};
    diagram.paint((...unit) => this.#paintUnit(...unit, responses, labels), changed);
    region.paint(network, view.inSight, responses, labels, exact);
    if (exact) this.#tell(moving, following && diagram.edges.crowded, share);
    if (moving) return;
    view.inspector.refresh();
    answers.count(network, () => {
      this.#count(share);
      this.#busy(false);
      view.rested();
    });
  }

  /** Brings weights and numbers up to date. */
  #tell(moving, swift, share) {
    const { diagram, reach, toolbar } = this.view;
    diagram.restyle(reach, moving, swift);
    write(this.view.part(".note"), diagram.edges.note(reach));
    this.#count(share);
    toolbar.enable();
    this.told = performance.now();
    this.pictures = 0;
  }

  #count(share) {
    const { counts, network, reach, answers } = this.view;
    counts.show(network, reach, share, answers.correct);
  }

  #paintUnit(canvas, layer, unit, responses, labels) {
    const { content, network } = this.view;
    const values = responses.values[layer][unit];
    if (!content.plane) {
      const classes = Math.max(2, content.outputs);
      paintHistogram(canvas, values, labels, classes, canvas.clientWidth || 40);
    } else if (layer === network.last && content.outputs === 1) {
      paintDecision(canvas, values);
    } else {
      paintValues(canvas, values, scaleOf(values));
    }
  }

  #busy(busy) {
    if (this.busy !== busy) this.view.root.setAttribute("aria-busy", String(busy));
    this.busy = busy;
  }
}
