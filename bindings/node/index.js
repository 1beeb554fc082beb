// nadb for better-sqlite3 and node:sqlite.
//
//     const nadb = require('sqlite-nadb');
//     nadb.load(db);            // each connection that uses its tables
//
// node:sqlite wants new DatabaseSync(file, {allowExtension: true}).
'use strict';

const path = require('node:path');

/** The path of the library, for programs that load it by themselves. */
function getLoadablePath() {
    return path.join(__dirname, 'nadb.so');
}

/** Loads nadb into a connection that has loadExtension(). */
function load(db) {
    db.loadExtension(getLoadablePath());
}

module.exports = { getLoadablePath, load };
