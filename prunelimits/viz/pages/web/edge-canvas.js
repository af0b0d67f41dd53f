// Hundreds of weights that move, on one canvas: as curves of their own they take longer to draw than
// a picture may last. What is touched there are still the curves, which are not seen meanwhile.

const FADES = 4; // pictures in which a weight that was pruned fades
const WIDTHS = 2; // line widths a pixel that are told apart
const OPACITIES = 8;

class EdgeCanvas {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.faded = new Map(); // weights that were alive -> how many pictures ago
  }

  /** Draws the edges as `edges.lookOf` says; where a unit is `lit`, all but its own are dimmed. */
  draw(edges, reach, { width, height }, lit) {
    const context = this.#begin(width, height);
    for (const [style, alike] of this.#byStyle(edges, reach, lit)) {
      const { colour, dash, width: thickness, opacity } = JSON.parse(style);
      context.strokeStyle = palette[colour];
      context.setLineDash(dash);
      context.lineWidth = thickness;
      context.globalAlpha = opacity;
      context.beginPath();
      for (const { from, to } of alike) {
        const middle = (from.x + to.x) / 2;
        context.moveTo(from.x, from.y);
        context.bezierCurveTo(middle, from.y, middle, to.y, to.x, to.y);
      }
      context.stroke();
    }
  }

  #begin(width, height) {
    const { canvas } = this;
    const density = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * density), Math.round(height * density)];
    const context = canvas.getContext("2d");
    if (canvas.width !== wide || canvas.height !== high) {
      [canvas.width, canvas.height] = [wide, high];
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      context.setTransform(density, 0, 0, density, 0, 0);
    }
    context.clearRect(0, 0, width, height);
    return context;
  }

  /** Edges that look alike are one stroke; the faintest first. */
  #byStyle(edges, reach, lit) {
    /** @type {Map<string, object[]>} */
    const groups = new Map();
    edges.groups.each((edge) => {
      const look = edges.lookOf(edge.index, reach);
      const strength = this.#strength(edge.index, look);
      if (strength === 0) return;
      const dimmed = lit && !touches(edge, lit.layer, lit.unit) ? 0.16 : 1;
      const style = JSON.stringify({
        opacity: Math.ceil(OPACITIES * look.opacity * strength * dimmed) / OPACITIES,
        width: Math.round(WIDTHS * look.width) / WIDTHS,
        ...strokeOf(look),
      });
      if (!groups.has(style)) groups.set(style, []);
      groups.get(style).push(edge);
    });
    return d3.sort(groups, ([style]) => style);
  }

  /** 1 for a weight that is shown; less for one that has just been pruned, down to 0. */
  #strength(index, { state, small }) {
    if (small) return 0;
    if (state !== "pruned") {
      this.faded.set(index, 0);
      return 1;
    }
    const age = (this.faded.get(index) ?? FADES) + 1;
    this.faded.set(index, Math.min(age, FADES));
    return Math.max(0, 1 - age / FADES);
  }
}

/** The stroke of an edge, as the style sheet has it for curves. */
function strokeOf({ state, negative }) {
  const colour = negative ? "negative" : "positive";
  if (state === "cut" || state === "pruned") return { colour: "grey", dash: [6, 4] };
  return { colour, dash: state === "constant" ? [2, 3] : [] };
}
