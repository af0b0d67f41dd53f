// What leaves the page: the network as JSON, the picture as SVG.

/** The shortest decimal that is this float32. */
function shortest(value) {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}

/** The network in the form that `prunelimits.load` reads. */
function networkToJson(network) {
  const parameters = {};
  const masks = {};
  for (let layer = 1; layer <= network.last; layer++) {
    const units = d3.range(network.widths[layer]);
    const sources = d3.range(network.widths[layer - 1]);
    const table = (of) =>
      units.map((unit) => sources.map((source) => of(network.weight(layer, unit, source))));
    const row = (of) => units.map((unit) => of(network.bias(layer, unit)));
    const value = (index) => shortest(network.values[index]);
    const kept = (index) => network.kept[index] === 1;
    parameters[`layers.${layer - 1}.weight`] = table(value);
    parameters[`layers.${layer - 1}.bias`] = row(value);
    masks[`layers.${layer - 1}.weight`] = table(kept);
    masks[`layers.${layer - 1}.bias`] = row(kept);
  }
  const { widths, features } = network;
  // Which functions of the plane the inputs are; the coordinates themselves need no word.
  const inputs = isPlane(features) ? undefined : features;
  const format = "prunelimits network";
  return JSON.stringify({ format, version: 1, widths, inputs, parameters, masks });
}

/** The inverse of `networkToJson`; throws an Error that says what is wrong. */
function networkFromJson(text, label) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("this file is not JSON");
  }
  if (content?.format !== "prunelimits network")
    throw new Error("this file is no network of prunelimits");
  if (content.version !== 1)
    throw new Error(`this file has version ${content.version}, the page reads 1`);
  const { widths, parameters, masks } = content;
  const whole =
    Array.isArray(widths) && widths.length > 1 && widths.every((w) => Number.isInteger(w) && w > 0);
  if (!whole) throw new Error("widths must be two or more positive integers");
  const values = [];
  const kept = [];
  for (let layer = 1; layer < widths.length; layer++) {
    for (const part of ["weight", "bias"]) {
      const name = `layers.${layer - 1}.${part}`;
      const flat = (table) => (Array.isArray(table?.[name]) ? table[name].flat() : []);
      const size = widths[layer] * (part === "weight" ? widths[layer - 1] : 1);
      const numbers = flat(parameters);
      const flags = masks?.[name] === undefined ? numbers.map(() => true) : flat(masks);
      if (numbers.length !== size)
        throw new Error(`${name} must have ${size} numbers, got ${numbers.length}`);
      if (flags.length !== size)
        throw new Error(`the mask of ${name} must have ${size} entries, got ${flags.length}`);
      for (const value of numbers) values.push(typeof value === "number" ? value : NaN);
      for (const flag of flags) kept.push(flag === true ? 1 : 0);
    }
  }
  const features = content.inputs === undefined ? null : checkedFeatures(content.inputs);
  if (features === undefined || (features && features.length !== widths[0])) {
    const known = Object.keys(FEATURES).join(", ");
    throw new Error(`inputs must name ${widths[0]} different ones of ${known}`);
  }
  const numbers = Float32Array.from(values);
  return new Network(label, widths, numbers, Uint8Array.from(kept), "relu", features);
}

/** Hands a text to the reader as a file. */
function download(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  d3.create("a").attr("href", address).attr("download", name).node().click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** A file name made of a label. */
function fileName(label, suffix) {
  const plain = label
    .replace(/\.\w+$/, "")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  return `${plain.slice(0, 60) || "network"}.${suffix}`;
}

/** A view as an SVG of its own: what the screen shows, without style sheets. */
function viewToSvg(view) {
  const frame = view.stage.getBoundingClientRect();
  const heading = 34;
  const margin = 12;
  const [width, height] = [frame.width + 2 * margin, frame.height + heading + margin];
  const svg = d3
    .create("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("width", width)
    .attr("height", height)
    .attr("font-family", "system-ui, sans-serif");
  svg.append("rect").attr("width", "100%").attr("height", "100%").attr("fill", palette.zero);
  svg
    .append("text")
    .attr("x", margin)
    .attr("y", 22)
    .attr("font-size", 15)
    .attr("fill", palette.ink)
    .text(view.heading());
  const page = svg.append("g").attr("transform", `translate(${margin}, ${heading})`);
  const place = (node) => {
    const box = node.getBoundingClientRect();
    return {
      x: box.left - frame.left,
      y: box.top - frame.top,
      width: box.width,
      height: box.height,
    };
  };
  copyEdges(page, view, place(view.diagram.svg.node()));
  for (const node of view.stage.querySelectorAll("button.unit")) {
    copyCanvas(page, node.firstChild, place(node), node);
  }
  copyRegion(page, view.region, place(view.region.plane));
  for (const node of view.stage.querySelectorAll("button.chip")) {
    const style = getComputedStyle(node);
    addRectangle(page, place(node), {
      fill: style.backgroundColor,
      stroke: palette.grey,
      id: node.id,
    });
  }
  return new XMLSerializer().serializeToString(svg.node());
}

function copyEdges(page, view, corner) {
  const group = page
    .append("g")
    .attr("transform", `translate(${corner.x}, ${corner.y})`)
    .attr("fill", "none");
  for (const edge of view.diagram.svg.node().querySelectorAll("g.edge")) {
    if (edge.dataset.state === "pruned") continue;
    const line = edge.querySelector(".line");
    const style = getComputedStyle(line);
    const curve = line.getAttribute("d");
    const width = Number(line.getAttribute("stroke-width"));
    group
      .append("path")
      .attr("d", curve)
      .attr("stroke", palette.zero)
      .attr("stroke-width", width + 2.5);
    const copied = group.append("path").attr("d", curve).attr("id", edge.id);
    copied.attr("stroke", style.stroke).attr("stroke-width", width);
    if (style.strokeDasharray !== "none") copied.attr("stroke-dasharray", style.strokeDasharray);
  }
  for (const text of view.diagram.svg.node().querySelectorAll("text")) {
    const style = getComputedStyle(text);
    const copied = group
      .append("text")
      .attr("x", text.getAttribute("x"))
      .attr("y", text.getAttribute("y"));
    copied
      .attr("fill", palette.grey)
      .attr("font-size", style.fontSize)
      .attr("text-anchor", style.textAnchor);
    copied.attr("dominant-baseline", style.dominantBaseline).text(text.textContent);
  }
}

function copyCanvas(page, canvas, box, node) {
  addRectangle(page, box, { fill: palette.zero });
  const opacity = getComputedStyle(canvas).opacity;
  const image = page
    .append("image")
    .attr("href", canvas.toDataURL("image/png"))
    .attr("opacity", opacity);
  image.attr("x", box.x).attr("y", box.y).attr("width", box.width).attr("height", box.height);
  const frame = addRectangle(page, box, { fill: "none", stroke: palette.grey, id: node.id });
  if (node.dataset.state === "cut") frame.attr("stroke-dasharray", "4 3");
  if (node.dataset.state === "constant") frame.attr("stroke-dasharray", "1 3");
}

function copyRegion(page, region, box) {
  copyCanvas(page, region.shade, box, region.plane);
  const marks = page.append("g").attr("transform", `translate(${box.x}, ${box.y})`);
  if (region.boundary) {
    const clip = `${region.plane.id}-clip`;
    page
      .append("clipPath")
      .attr("id", clip)
      .append("rect")
      .attr("width", box.width)
      .attr("height", box.height);
    const line = marks.append("path").attr("d", region.boundary).attr("clip-path", `url(#${clip})`);
    line.attr("fill", "none").attr("stroke", palette.ink).attr("stroke-width", 1.2);
  }
  if (region.looked || !region.answers) return;
  for (const [point, { x, y, colour }] of region.places.entries()) {
    const dot = marks
      .append("circle")
      .attr("cx", x.toFixed(2))
      .attr("cy", y.toFixed(2))
      .attr("r", 1.8);
    dot.attr("fill", colour);
    if (region.wrong[point]) dot.attr("stroke", palette.ink).attr("stroke-width", 0.8);
  }
}

function addRectangle(page, { x, y, width, height }, { fill, stroke = "none", id = null }) {
  const rectangle = page
    .append("rect")
    .attr("x", x)
    .attr("y", y)
    .attr("width", width)
    .attr("height", height);
  return rectangle
    .attr("fill", fill)
    .attr("stroke", stroke)
    .attr("id", id || null);
}
