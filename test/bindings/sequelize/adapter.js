// Sequelize over the package sqlite3, without models
'use strict';
const { open } = require(process.env.BLOCKS + '/block1.js'); // the page's

let db = open('scenario.db');
let transaction = null;
exports.version = `Node ${process.version}, Sequelize ` +
  require('sequelize/package.json').version;
// Parameters are $1, $2 .. here; sqlite3 binds no integers of more than 53 bits.
exports.rows = async (sql, ...args) => {
  const select = sql.startsWith('SELECT');
  let n = 0;
  const found = await db.query(
    sql.replace(/\?/g, () => typeof args[n++] === 'bigint'
      ? `CAST($${n} AS INTEGER)` : `$${n}`),
    { bind: args.length ? args.map(v => typeof v === 'bigint' ? String(v) : v)
      : undefined, transaction, type: select ? 'SELECT' : 'RAW' })
    .catch(error => { throw error.original ?? error; }); // SQLite's message
  return select ? found : [];
};
exports.big = async sql =>
  (await exports.rows(sql.replace('value', 'CAST(value AS TEXT) AS v')))[0].v;
exports.transaction = f => db.transaction(async t => {
  transaction = t;
  try {
    await f();
  } finally {
    transaction = null;
  }
});
exports.reopen = async () => {
  await db.close();
  db = open('scenario.db');
};
exports.close = () => db.close();
