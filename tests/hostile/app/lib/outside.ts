/** The only server that may be asked. The tests write in whose port it is. */
export const OUTSIDE = "http://127.0.0.1:1";

/** Asks it and tells what comes: the status, or the error, with `PORT` for the port. */
export const told = async (url: unknown, options?: unknown): Promise<string> => {
  try {
    return `${(await (fetch as any)(url, options ?? {})).status}`;
  } catch (error) {
    return String((error as Error).message).replaceAll(OUTSIDE.slice(17), "PORT");
  }
};

/** The same for many, one after the other; what is told again is left out. */
export const allTold = async (urls: unknown[]): Promise<string[]> => {
  const all: string[] = [];
  for (const url of urls) all.push(await told(url));
  return [...new Set(all)];
};

/** A response as text, sent as it is. */
export const raw = (response: string): string => `${OUTSIDE}/raw/${encodeURIComponent(response)}`;
