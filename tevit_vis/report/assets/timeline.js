'use strict';
// The tracks of a video over time: one row each, a bar per frame.

const ROW_HEIGHT = 22;

// Returns rows of a video: what stands before each, and how high and in which colour each bar is.
function timelineRows(video, run, colorOf, minScore) {
  const found = video.runs[run];
  const rows = [];
  video.truth.forEach((track, index) => {
    const fate = found.objects[index];
    rows.push({
      set: -1,
      index,
      name: `object ${track.number} ${track.category}${track.crowd ? ' (crowd)' : fate ? ` · ${fate.kind}` : ''}`,
      color: colorOf(-1, index),
      switches: fate ? fate.switches : [],
      bars: track.masks.map((mask, t) => {
        if (mask === null) return null;
        if (!fate) return { height: 1, color: '#999999' };
        const match = found.tracks.findIndex((each) => each.number === fate.matches[t]);
        return { height: Math.max(0.12, fate.ious[t]), color: match < 0 ? '#999999' : colorOf(run, match) };
      }),
    });
  });
  found.tracks.forEach((track, index) => {
    if (track.score < minScore) return;
    const kind = track.kind && track.kind !== 'Right' ? ` · ${track.kind}` : '';
    rows.push({
      set: run,
      index,
      name: `track ${track.number} ${track.category} ${track.score.toFixed(2)}${kind}`,
      color: colorOf(run, index),
      switches: [],
      bars: track.masks.map((mask) => (mask === null ? null : { height: 1, color: colorOf(run, index) })),
    });
  });
  return rows;
}

function drawBars(canvas, row, frame, length) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.round(ROW_HEIGHT * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  const step = width / length;
  row.bars.forEach((bar, t) => {
    if (!bar) return;
    context.fillStyle = bar.color;
    const size = bar.height * height;
    context.fillRect(t * step, height - size, Math.max(1, step - (step > 4 ? 1 : 0)), size);
  });
  context.fillStyle = '#d00000';
  for (const t of row.switches) context.fillRect(t * step - ratio, 0, 2 * ratio, height);
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--text');
  context.lineWidth = ratio;
  context.strokeRect(frame * step + ratio / 2, ratio / 2, Math.max(2, step - ratio), height - ratio);
}
