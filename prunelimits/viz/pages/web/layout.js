// Where the units stand: each layer a column, its first unit on top, centred on one axis.

const MOST_UNITS = 64; // in a column; a longer one is folded
const FOLDED_UNITS = 20; // what a folded column shows
const FAN = 0.13; // how far apart the edges of a unit leave or reach its square, in sides
const TOP = 34; // above the columns: room for a bias chip
const BOTTOM = 40; // below the columns: room for captions
const LEFT = 34; // before the inputs: room for their names
const RIGHT = 16; // after the outputs: room for their caption
const LARGEST_SIDE = 88; // of a unit's square
const NEAREST = 1.42; // from one square to the next of a column, in sides
const FURTHEST = 1.7;

/**
 * The units that are drawn, by layer: inputs and outputs, hidden units that something touches, and
 * those of `keep`. A layer of many shows those with the largest weights, unless it is `unfolded`.
 */
function drawnUnits(network, { everything, keep, unfolded }) {
  const weight = network.widths.map((width) => new Float64Array(width));
  network.eachWeight((index, layer, unit, source) => {
    const size = Math.abs(network.effect(index));
    weight[layer][unit] += size;
    weight[layer - 1][source] += size;
  });
  return network.widths.map((width, layer) => {
    const inner = layer > 0 && layer < network.last;
    const units = d3.range(width).filter((unit) => {
      if (!inner || everything || keep[layer].has(unit)) return true;
      return weight[layer][unit] > 0 || network.alive(network.bias(layer, unit));
    });
    if (units.length <= MOST_UNITS || unfolded.has(layer)) return { units, folded: 0 };
    const heaviest = d3.sort(units, (unit) => -weight[layer][unit]).slice(0, FOLDED_UNITS);
    return { units: d3.sort(heaviest), folded: units.length - FOLDED_UNITS };
  });
}

/**
 * The square of every drawn unit: `{x, y, side}` by its centre.
 *
 * `columns` is what `drawnUnits` gave. `direct`: the last column is not drawn; its edges end at the
 * right border, where the decision stands. `tallest`: how high columns may be, in pixels.
 */
function placeUnits(columns, width, { direct, regionSide, gap, tallest: most = 640 }) {
  const drawn = direct ? columns.length - 1 : columns.length;
  const rows = d3.max(
    columns.slice(0, drawn),
    ({ units, folded }) => units.length + (folded ? 1 : 0),
  );
  const room = (width - LEFT - (direct ? 0 : RIGHT)) / (drawn + (direct ? 0.35 : 0));
  const side = Math.max(22, Math.min(LARGEST_SIDE, room / gap, most / (rows * NEAREST)));
  const step = side * Math.max(NEAREST, Math.min(FURTHEST, regionSide / rows / side));
  const tallest = rows * step - (step - side);
  const tall = direct ? Math.max(tallest, regionSide) : tallest;
  const axis = TOP + tall / 2;
  // A deep network is wider than its room: then it scrolls.
  const end = LEFT + side / 2;
  const stride = Math.max(
    (width - LEFT - (direct ? side / 2 : side + RIGHT)) / Math.max(1, direct ? drawn : drawn - 1),
    side * 1.4,
  );
  const centres = d3.range(drawn).map((layer) => end + layer * stride);
  const squares = columns.slice(0, drawn).map(({ units, folded }, layer) => {
    const top = axis - ((units.length + (folded ? 1 : 0) - 1) * step) / 2;
    return new Map(
      units.map((unit, row) => [unit, { x: centres[layer], y: top + row * step, side }]),
    );
  });
  if (direct)
    squares.push(new Map([[0, { x: width + regionSide / 2, y: axis, side: regionSide }]]));
  const folds = columns.map(({ units, folded }, layer) => {
    return { layer, folded, x: centres[layer], y: axis + (units.length * step) / 2 };
  });
  return {
    squares,
    side,
    axis,
    centres,
    folds,
    width: direct ? width : Math.max(width, centres.at(-1) + side / 2 + RIGHT),
    height: axis + tall / 2 + BOTTOM,
    floor: axis + tallest / 2,
  };
}

/** Whether all columns fit beside the region, with room for edges between them. */
function fitsBeside(columns, width) {
  return (width - LEFT) / (columns - 1) >= 60;
}

const level = d3.linkHorizontal();

/**
 * Gives every drawn edge its ends `from` and `to` and its curve between them: a cubic Bezier curve
 * that is level at both ends.
 */
function placeEdges(edges, squares) {
  const leaving = d3.group(edges, (edge) => `${edge.layer - 1} ${edge.source}`);
  const reaching = d3.group(edges, (edge) => `${edge.layer} ${edge.unit}`);
  const offsets = new Map(edges.map((edge) => [edge, [0, 0]]));
  for (const [groups, by, end] of [
    [leaving, "unit", 0],
    [reaching, "source", 1],
  ]) {
    for (const group of groups.values()) {
      const spread = Math.min(FAN, 0.7 / group.length);
      d3.sort(group, (edge) => edge[by]).forEach((edge, rank) => {
        offsets.get(edge)[end] = (rank - (group.length - 1) / 2) * spread;
      });
    }
  }
  for (const edge of edges) {
    const from = squares[edge.layer - 1].get(edge.source);
    const to = squares[edge.layer].get(edge.unit);
    const [leave, reach] = offsets.get(edge);
    edge.from = { x: from.x + from.side / 2, y: from.y + leave * from.side };
    edge.to = { x: to.x - to.side / 2, y: to.y + reach * to.side };
    edge.curve = level({ source: [edge.from.x, edge.from.y], target: [edge.to.x, edge.to.y] });
  }
}
