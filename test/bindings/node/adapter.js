// better-sqlite3
'use strict';
const { open } = require(process.env.BLOCKS + '/block1.js'); // the page's

let db = open('scenario.db');
exports.version = `Node ${process.version}, better-sqlite3 ` +
  require('better-sqlite3/package.json').version;
exports.rows = (sql, ...args) => {
  const statement = db.prepare(sql);
  return statement.reader ? statement.all(...args) : statement.run(...args) && [];
};
exports.big = sql => db.prepare(sql).safeIntegers().pluck().get();
// db.transaction() takes no asynchronous function; numbers.js has it.
exports.transaction = async f => {
  db.exec('BEGIN');
  try {
    await f();
    db.exec('COMMIT');
  } catch (e) {
    db.exec('ROLLBACK');
    throw e;
  }
};
exports.reopen = () => {
  db.close();
  db = open('scenario.db');
};
exports.close = () => db.close();
