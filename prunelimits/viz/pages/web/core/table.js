// A reader's own data: two columns of numbers and one of labels, as text.

const MOST_LINES = 50000;
const MOST_LABELS = 8;
const LONGEST_NAME = 40;

/**
 * The points of a table, standardised: every column has mean 0 and deviation 1, as the spirals.
 * A first line without numbers is a header. Throws an Error that names the line.
 *
 * @returns {{points: {x: number[], label: number}[], labels: string[]}} labels by class
 */
function readTable(/** @type {string} */ text) {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  const separator = ["\t", ";", ","].find((mark) => lines[0].includes(mark)) ?? ",";
  const rows = [];
  lines.forEach((line, at) => {
    if (line.trim() === "") return;
    const cells = line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
    if (cells.length !== 3) {
      throw new Error(
        `line ${at + 1} has ${cells.length} columns; two numbers and a label are needed`,
      );
    }
    const x = cells.slice(0, 2).map((cell) => (cell === "" ? NaN : Number(cell)));
    if (!x.every(Number.isFinite)) {
      if (rows.length === 0 && at === 0 && x.every(Number.isNaN)) return; // the header
      const [first, second] = cells.map((cell) => cell.slice(0, LONGEST_NAME));
      throw new Error(`line ${at + 1} must begin with two numbers, got ${first} and ${second}`);
    }
    if (cells[2] === "") throw new Error(`line ${at + 1} has no label`);
    rows.push({ x, label: cells[2] });
    if (rows.length > MOST_LINES) throw new Error(`it has more than ${MOST_LINES} rows`);
  });
  const numeric = rows.every(({ label }) => Number.isFinite(Number(label)));
  const order = numeric ? (a, b) => Number(a) - Number(b) : undefined;
  const labels = [...new Set(rows.map(({ label }) => label))].sort(order);
  if (labels.length < 2 || labels.length > MOST_LABELS) {
    throw new Error(
      `it must have 2 to ${MOST_LABELS} labels in its last column, got ${labels.length}`,
    );
  }
  const moments = momentsOf(rows.map(({ x }) => x));
  moments.forEach(({ deviation }, column) => {
    if (!(deviation > 0)) throw new Error(`column ${column + 1} has one value throughout`);
  });
  const points = rows.map(({ x, label }) => ({
    x: standardised(x, moments),
    label: labels.indexOf(label),
  }));
  return { points, labels };
}

/**
 * What classes are called where there is room for a few words: one line each, of which no two look
 * the same. The library does likewise with the names that a page brings.
 */
function classLabels(/** @type {string[]} */ names) {
  const labels = names.map((name, label) => {
    const line = [...name.replace(/[\p{C}\p{Z}]+/gu, " ").trim()];
    if (line.length === 0) return `class ${label}`;
    if (line.length <= LONGEST_NAME) return line.join("");
    return `${line.slice(0, LONGEST_NAME - 1).join("")}…`;
  });
  if (new Set(labels).size === labels.length) return labels;
  return labels.map((name, label) => `${label}: ${name}`);
}
