// TypeORM over better-sqlite3, without entities
'use strict';
const { open } = require(process.env.BLOCKS + '/block1.js'); // the page's

let db = null;
let current = null;
const at = async () => current ?? (db ??= await open('scenario.db'));
exports.version = `Node ${process.version}, TypeORM`;
exports.rows = async (sql, ...args) => {
  const found = await (await at()).query(sql, args);
  return Array.isArray(found) ? found : [];
};
exports.big = async sql =>
  (await exports.rows(sql.replace('value', 'CAST(value AS TEXT) AS v')))[0].v;
exports.transaction = async f => (await at()).transaction(async manager => {
  current = manager;
  try {
    await f();
  } finally {
    current = null;
  }
});
exports.close = () => db.destroy();
exports.reopen = async () => {
  await db.destroy();
  db = null;
};
