// What a unit answers on the data where there is no plane to show it over.

const BINS = 24;

/** Counts by class and bin over [low, high]. */
function histogramOf(values, labels, classes) {
  const low = Math.min(0, d3.min(values));
  let high = Math.max(0, d3.max(values));
  if (low === high) high = low + 1;
  const counts = Array.from({ length: classes }, () => new Float64Array(BINS));
  for (let point = 0; point < values.length; point++) {
    const bin = Math.min(BINS - 1, Math.floor(((values[point] - low) / (high - low)) * BINS));
    counts[labels[point]][bin]++;
  }
  return { counts, low, high };
}

/** Draws the classes' bars on each other; heights are square roots of shares, so that few show too. */
function paintHistogram(canvas, values, labels, classes, size) {
  fitCanvas(canvas, size);
  const context = canvas.getContext("2d");
  context.fillStyle = palette.zero;
  context.fillRect(0, 0, size, size);
  const { counts, low, high } = histogramOf(values, labels, classes);
  const totals = d3.range(BINS).map((bin) => d3.sum(counts, (count) => count[bin]));
  const most = d3.max(totals);
  const [top, bottom] = [size * 0.24, size * 0.96];
  const width = (size * 0.92) / BINS;
  totals.forEach((total, bin) => {
    const height = Math.sqrt(total / most) * (bottom - top);
    let y = bottom;
    for (let label = 0; label < classes; label++) {
      const part = total ? (height * counts[label][bin]) / total : 0;
      context.fillStyle = palette.classColour(label, classes);
      context.fillRect(size * 0.04 + bin * width, y - part, Math.max(1, width - 1), part);
      y -= part;
    }
  });
  const zero = size * 0.04 + ((0 - low) / (high - low)) * BINS * width;
  context.fillStyle = palette.ink;
  context.fillRect(zero - 0.5, top * 0.7, 1, bottom - top * 0.7);
  context.fillRect(size * 0.04, bottom, size * 0.92, 1);
}

/** Draws how often each class (row) was taken for each (column); `names`: of the classes. */
function paintConfusion(canvas, guesses, labels, names, size) {
  const classes = names.length;
  fitCanvas(canvas, size);
  const counts = Array.from({ length: classes }, () => new Float64Array(classes));
  guesses.forEach((guess, point) => counts[labels[point]][guess]++);
  const context = canvas.getContext("2d");
  context.fillStyle = palette.zero;
  context.fillRect(0, 0, size, size);
  // Names need more room than numbers.
  const start = size * (names.some((name) => name.length > 3) ? 0.22 : 0.1);
  const cell = (size - start) / classes;
  context.font = `${Math.max(9, Math.min(16, cell / 3))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < classes; row++) {
    const all = d3.sum(counts[row]) || 1;
    for (let column = 0; column < classes; column++) {
      const share = counts[row][column] / all;
      context.fillStyle = palette.colour(row === column ? share : -share);
      context.fillRect(start + column * cell, start + row * cell, cell - 1, cell - 1);
      if (classes > 12 || counts[row][column] === 0) continue;
      context.fillStyle = share > 0.6 ? palette.zero : palette.ink;
      context.fillText(
        number(counts[row][column]),
        start + (column + 0.5) * cell,
        start + (row + 0.5) * cell,
      );
    }
    if (classes > 12) continue;
    context.fillStyle = palette.grey;
    context.fillText(
      fitted(context, names[row], start - 4),
      start / 2,
      start + (row + 0.5) * cell,
    );
    context.fillText(
      fitted(context, names[row], cell - 4),
      start + (row + 0.5) * cell,
      start / 2,
    );
  }
}

/** As much of a text as has room. */
function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  const letters = [...text];
  while (letters.length > 1 && context.measureText(`${letters.join("")}…`).width > room) {
    letters.pop();
  }
  return `${letters.join("")}…`;
}

/** Gives a canvas a size in CSS pixels, sharp on dense screens, and empties it. */
function fitCanvas(canvas, size) {
  const density = window.devicePixelRatio || 1;
  const side = Math.round(size * density);
  const context = canvas.getContext("2d");
  // Another size takes memory anew, which is much in every frame.
  if (canvas.width !== side || canvas.height !== side) {
    canvas.width = side;
    canvas.height = side;
  }
  context.setTransform(side / size, 0, 0, side / size, 0, 0);
  context.clearRect(0, 0, size, size);
}
