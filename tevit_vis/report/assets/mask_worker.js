'use strict';
// Draws masks from their RLE. The function below runs in a worker: pages that are opened as files
// may not load a worker from a file, so its text is given to the worker instead.
//
// Messages to it: {video} with its tracks once, then {draw} or {pick}. COCO's RLE counts pixels
// column by column, of background and mask in turn; each count is written in characters of five
// bits, from the third count on as the difference to the last but one.

function maskWorker() {
  const NEAR = 1; // cells between a mask's pixels and what lies outside of its outline
  let video = null;

  function runsOf(text) {
    const counts = [];
    let place = 0;
    while (place < text.length) {
      let value = 0;
      let shift = 0;
      let more = true;
      while (more) {
        const bits = text.charCodeAt(place++) - 48;
        value |= (bits & 31) << shift;
        shift += 5;
        more = (bits & 32) > 0;
        if (!more && bits & 16) value |= -1 << shift;
      }
      counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
    }
    return counts;
  }

  // The first cell of `count` whose middle lies at or behind each place of 0..size.
  function firstCells(size, count) {
    const cells = new Int32Array(size + 1);
    for (let place = 0; place <= size; place++) {
      cells[place] = Math.min(count, Math.max(0, Math.ceil((place * count) / size - 0.5)));
    }
    return cells;
  }

  // Returns a mask on cells [width, height] (1 inside; column by column) and its box, or null.
  function cellsOf(mask, width, height) {
    const [rows, columns, text] = typeof mask === 'string' ? [video.height, video.width, mask] : mask;
    const cells = new Uint8Array(width * height);
    const firstColumn = firstCells(columns, width);
    const firstRow = firstCells(rows, height);
    const box = { left: width, top: height, right: 0, bottom: 0 };
    let pixel = 0;
    let inside = false;
    for (const count of runsOf(text)) {
      const end = pixel + count;
      while (inside && pixel < end) {
        const column = Math.floor(pixel / rows);
        const row = pixel - column * rows;
        const stop = Math.min(rows, row + end - pixel);
        const [top, bottom] = [firstRow[row], firstRow[stop]];
        for (let x = firstColumn[column]; x < firstColumn[column + 1] && bottom > top; x++) {
          cells.fill(1, x * height + top, x * height + bottom);
          box.left = Math.min(box.left, x);
          box.right = Math.max(box.right, x + 1);
          box.top = Math.min(box.top, top);
          box.bottom = Math.max(box.bottom, bottom);
        }
        pixel += stop - row;
      }
      pixel = end;
      inside = !inside;
    }
    return box.right ? { cells, box } : null;
  }

  function paint(pixels, mask, width, height, color, opacity, line) {
    const { cells, box } = mask;
    for (let x = box.left; x < box.right; x++) {
      for (let y = box.top; y < box.bottom; y++) {
        const cell = x * height + y;
        if (!cells[cell]) continue;
        const isEdge =
          x < line || y < line || x >= width - line || y >= height - line ||
          !cells[cell - line] || !cells[cell + line] ||
          !cells[cell - line * height] || !cells[cell + line * height];
        const alpha = isEdge ? 255 : opacity;
        if (!alpha) continue;
        const at = (y * width + x) * 4;
        // The colour lies over what is there already (alpha of both, straight colours).
        const under = (pixels[at + 3] * (255 - alpha)) / 255;
        const sum = alpha + under;
        for (let c = 0; c < 3; c++) pixels[at + c] = (color[c] * alpha + pixels[at + c] * under) / sum;
        pixels[at + 3] = sum;
      }
    }
  }

  function tracksOf(set) {
    return set < 0 ? video.truth : video.runs[set].tracks;
  }

  function draw({ set, frame, width, height, tracks, opacity, line }) {
    const pixels = new Uint8ClampedArray(width * height * 4);
    const boxes = [];
    for (const { index, color, faint } of tracks) {
      const mask = tracksOf(set)[index].masks[frame];
      const found = mask === null ? null : cellsOf(mask, width, height);
      if (!found) continue;
      paint(pixels, found, width, height, color, faint ? opacity / 3 : opacity, line || NEAR);
      boxes.push({ index, ...found.box });
    }
    return { pixels, boxes };
  }

  function pick({ set, frame, width, height, tracks, x, y }) {
    for (const { index } of [...tracks].reverse()) {
      const mask = tracksOf(set)[index].masks[frame];
      const found = mask === null ? null : cellsOf(mask, width, height);
      if (found && found.cells[Math.floor(x) * height + Math.floor(y)]) return index;
    }
    return -1;
  }

  onmessage = ({ data }) => {
    if (data.video) {
      video = data.video;
    } else if (data.draw) {
      const { pixels, boxes } = draw(data.draw);
      postMessage({ key: data.key, pixels, boxes }, [pixels.buffer]);
    } else {
      postMessage({ key: data.key, index: pick(data.pick) });
    }
  };
}

function startMaskWorker() {
  const text = `'use strict';(${maskWorker.toString()})()`;
  return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
}
