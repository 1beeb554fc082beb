// knex over better-sqlite3
'use strict';
const { open } = require(process.env.BLOCKS + '/block1.js'); // the page's

let db = open('scenario.db');
let current = null;
exports.version = `Node ${process.version}, knex ` +
  require('knex/package.json').version;
exports.rows = (sql, ...args) =>
  (current ?? db).raw(sql, args).then(r => Array.isArray(r) ? r : []);
exports.big = async sql =>
  (await db.raw(sql.replace('value', 'CAST(value AS TEXT) AS v')))[0].v;
exports.transaction = f => db.transaction(async trx => {
  current = trx;
  try {
    await f();
  } finally {
    current = null;
  }
});
exports.reopen = async () => {
  await db.destroy();
  db = open('scenario.db');
};
exports.close = () => db.destroy();
