import { collection, type Float, type Int } from "weir";

/** A place on the globe, in degrees. */
export interface Point {
  /** North is positive. */
  lat: Float;
  /** East is positive. */
  lng: Float;
}

/** A country or territory with a code of its own in ISO 3166-1. */
export interface Country {
  /** ISO 3166-1 alpha-2, such as `FR`. */
  code: string;
  /** ISO 3166-1 alpha-3, such as `FRA`. */
  code3: string;
  name: string;
  officialName: string;
  region: "Africa" | "Americas" | "Antarctic" | "Asia" | "Europe" | "Oceania";
  subregion: string;
  capitals: string[];
  /** The middle, roughly. */
  location: Point;
  /** In square kilometres. */
  area: Float;
  landlocked: boolean;
  /** Null where it is disputed. */
  independent: boolean | null;
  /** Of the neighbours on land, their `code3`. */
  borders: string[];
  /** In English. */
  languages: string[];
  /** ISO 4217 codes, such as `EUR`. */
  currencies: string[];
  /** An emoji. */
  flag: string;
}

/** A city, town or village. */
export interface City {
  name: string;
  /** The name as it is searched for: in lower case, without accents. */
  search: string;
  /** The `code` of its country. */
  country: string;
  /** First-level administrative division, by its GeoNames code. Empty where there is none. */
  admin1: string;
  location: Point;
  /** The square of one degree that it lies in: see `cellOf`. */
  cell: Int;
}

export const countries = collection<Country>({ unique: ["code", "code3"], index: [["region", "name"], "name"] });

export const cities = collection<City>({ index: [["country", "search"], "search", "cell"] });
