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

/** Files come by a button, or are dropped anywhere on the page. */
function listenForFiles(page) {
  const table = /** @type {HTMLInputElement} */ (document.getElementById("table"));
  table.addEventListener("change", () => {
    takeOwn(page, table.files[0]);
    table.value = "";
  });
  const root = document.documentElement;
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    takeOwn(page, event.dataTransfer.files[0]);
  });
}

/** Gives the page what is in a file of the reader's, and tells what that is. */
async function takeOwn(page, /** @type {File|undefined} */ file) {
  if (!file) return;
  try {
    const own = await readOwn(file);
    if ("network" in own) {
      page.load(own.network);
      page.say("");
      return;
    }
    page.bring(own.points, own.labels);
    const classes = own.labels.map((label, i) => `${i}: ${shortened(label)}`).join(", ");
    const points = `${number(own.points.length)} points, columns standardised`;
    page.say(`${file.name}: ${points}; classes ${classes}.`);
  } catch (error) {
    page.say(`${file.name}: ${error.message}.`);
  }
}

/** The points of a page's data. */
function pointsOf({ x, y }) {
  const flat = new Float32Array(bytesOf(x).buffer);
  return Array.from(new Uint16Array(bytesOf(y).buffer), (label, i) => ({
    x: [flat[2 * i], flat[2 * i + 1]],
    label,
  }));
}
