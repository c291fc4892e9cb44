import { count, procedure, query, sum, view, type Doc, type Float, type JSON } from "weir";
import { countries, type Country } from "../collections";

/** The country with this code, of two or three letters: `FR` or `FRA`. */
export const country = query((args: { code: string }): Doc<Country> | null =>
  countries.where(args.code.length === 2 ? "code" : "code3", args.code.toUpperCase()).first(),
);

/** The countries of a region, by name. */
export const countriesIn = query((args: { region: Country["region"] }): Doc<Country>[] =>
  countries.where("region", args.region).orderBy("name"),
);

/** The neighbours on land of a country, by name. */
export const neighboursOf = query((args: { code: string }): Doc<Country>[] => {
  const borders = countries.where("code", args.code).first()?.borders ?? [];
  const neighbours = borders.map((code3) => countries.where("code3", code3).first());
  return neighbours.filter((found) => found !== null).sort((a, b) => a.name.localeCompare(b.name));
});

/** How many countries there are in each region, and how large they are together, in square kilometres. */
export const regions = view.groupBy(countries, (country) => country.region, {
  countries: count(),
  area: sum((country) => country.area),
});

/** The countries by the codes of their currencies, such as `EUR`; one with several is there under each. */
export const countriesByCurrency = view.index(
  countries,
  (country) => country.currencies,
  (country) => ({ code: country.code, name: country.name }),
);

/** A row of `countries.json` of the npm package `world-countries`. */
export interface CountryRow {
  name: { common: string; official: string; native: JSON };
  tld: string[];
  cca2: string;
  ccn3: string;
  cca3: string;
  cioc: string;
  independent: boolean | null;
  status: string;
  unMember: boolean;
  unRegionalGroup: string;
  /** By code: `{ "EUR": { "name": "Euro", "symbol": "€" } }`. */
  currencies: JSON;
  idd: JSON;
  capital: string[];
  altSpellings: string[];
  region: Country["region"];
  subregion: string;
  /** By code: `{ "fra": "French" }`. */
  languages: JSON;
  translations: JSON;
  /** Latitude and longitude. */
  latlng: Float[];
  landlocked: boolean;
  borders: string[];
  area: Float;
  flag: string;
  demonyms: JSON;
}

/** Adds a country: `weir import countries.json --with addCountry`. */
export const addCountry = procedure((row: CountryRow): Doc<Country> => {
  const [lat, lng] = row.latlng;
  return countries.insert({
    code: row.cca2,
    code3: row.cca3,
    name: row.name.common,
    officialName: row.name.official,
    region: row.region,
    subregion: row.subregion,
    capitals: row.capital,
    location: { lat, lng },
    area: row.area,
    landlocked: row.landlocked,
    independent: row.independent,
    borders: row.borders,
    languages: Object.values(row.languages),
    currencies: Object.keys(row.currencies),
    flag: row.flag,
  });
});
