// The globe as a grid of 180 rows with 360 squares of one degree each. The squares are numbered row by row, so that
// those beside each other in a row are one range of numbers, and one index answers for a box.

/** A part of the globe between two meridians and two parallels, in degrees. */
export interface Box {
  south: number;
  west: number;
  north: number;
  /** Less than `west` where the box crosses the date line. */
  east: number;
}

const COLUMNS = 360;

const rowOf = (lat: number): number => Math.min(Math.floor(lat) + 90, 179);
const columnOf = (lng: number): number => Math.min(Math.floor(lng) + 180, COLUMNS - 1);

/** The number of the square that holds a place. */
export function cellOf(lat: number, lng: number): number {
  return rowOf(lat) * COLUMNS + columnOf(lng);
}

/** The squares that touch a box: one range for each row, two where the box crosses the date line. */
export function rangesOf(box: Box): { gte: number; lte: number }[] {
  const spans = box.west <= box.east ? [[box.west, box.east]] : [[box.west, 180], [-180, box.east]];
  const ranges: { gte: number; lte: number }[] = [];
  for (let row = rowOf(box.south); row <= rowOf(box.north); row++) {
    for (const [west, east] of spans) {
      ranges.push({ gte: row * COLUMNS + columnOf(west), lte: row * COLUMNS + columnOf(east) });
    }
  }
  return ranges;
}

/** Whether a place is in the box; its edges belong to it. */
export function holds(box: Box, lat: number, lng: number): boolean {
  const between = box.west <= box.east ? box.west <= lng && lng <= box.east : box.west <= lng || lng <= box.east;
  return box.south <= lat && lat <= box.north && between;
}
