/** The path of the library, for programs that load it by themselves. */
export function getLoadablePath(): string;
/** Loads nadb into a connection of better-sqlite3 or node:sqlite. */
export function load(db: { loadExtension(path: string): unknown }): void;
