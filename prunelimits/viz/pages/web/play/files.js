// Files that the reader brings: a table of points, or a network.

const MOST_BYTES = 5_000_000;

/**
 * What is in a file: a network, or points with their labels.
 *
 * @returns {Promise<{network: Network}|{points: {x: number[], label: number}[], labels: string[]}>}
 */
async function readOwn(/** @type {File} */ file) {
  if (file.size > MOST_BYTES) throw new Error(`it has more than ${number(MOST_BYTES)} bytes`);
  const text = await file.text();
  if (/^\s*\{/.test(text)) return { network: networkFromJson(text, file.name) };
  return readTable(text);
}

/** The points of a page's data. */
function pointsOf({ x, y }) {
  const flat = new Float32Array(bytesOf(x).buffer);
  return Array.from(new Uint16Array(bytesOf(y).buffer), (label, i) => ({
    x: [flat[2 * i], flat[2 * i + 1]],
    label,
  }));
}
