// node:sqlite
'use strict';
const { open } = require(process.env.BLOCKS + '/block1.js'); // the page's

let db = open('scenario.db');
exports.version = `Node ${process.version}`;
exports.rows = (sql, ...args) => db.prepare(sql).all(...args);
exports.big = sql => {
  const statement = db.prepare(sql);
  statement.setReadBigInts(true);
  return statement.get().value;
};
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
