// numbers.js LIBRARY FOLDER - JavaScript binds every number as
// REAL: 5 is the key '5', and integers are counted as integers.
const Database = require('better-sqlite3');

let failed = false;
function check(name, got, expected) {
  const [g, e] = [JSON.stringify(got), JSON.stringify(expected)];
  if (g === e) {
    console.log(`ok ${name}`);
  } else {
    failed = true;
    console.log(`not ok ${name}: got ${g}, expected ${e}`);
  }
}

const [lib, folder] = process.argv.slice(2);
const db = new Database(`${folder}/js.db`);
db.loadExtension(lib);
db.exec('CREATE VIRTUAL TABLE kv USING nadb');
const one = (sql, ...args) => db.prepare(sql).pluck().get(...args);

check('incr', one("SELECT nadb_incr('kv', 'n', ?)", 1), 1);
db.prepare('INSERT INTO kv(key, value) VALUES(?, ?)').run('v', 41);
check('incr-real', one("SELECT nadb_incr('kv', 'v')"), 42);
check('incr-default', one("SELECT nadb_incr('kv', ?, 2, 40, 60)", 'w'), 42);
db.prepare('INSERT INTO kv(key, value) VALUES(?, ?)').run(5, 'five');
db.prepare('INSERT INTO kv(key, value) VALUES(?, ?)').run('50', 'fifty');
check('key', db.prepare('SELECT key FROM kv ORDER BY key').pluck().all(),
      ['5', '50', 'n', 'v', 'w']);
check('get', one('SELECT value FROM kv WHERE key = ?', 5), 'five');
check('get-text', one('SELECT value FROM kv WHERE key = ?', '5'), 'five');
check('get-bigint', one('SELECT value FROM kv WHERE key = ?', 5n), 'five');
check('update', db.prepare('UPDATE kv SET value = ? WHERE key = ?')
  .run('changed', 5).changes, 1);
check('others', one('SELECT value FROM kv WHERE key = ?', 50), 'fifty');
check('tags', one("SELECT nadb_tag('kv', ?, ?)", 5, 7), 1);
check('tag', one('SELECT key FROM kv WHERE tag = ?', 7), '5');
check('ttl', one("SELECT nadb_set_ttl('kv', ?, ?)", 5, 60), 1);
check('pop', one("SELECT nadb_pop('kv', ?)", 5), 'changed');
check('delete', db.prepare('DELETE FROM kv WHERE key = ?').run(50).changes, 1);
const at = new Date(Date.UTC(2099, 10, 29, 12, 34, 56, 789));
db.prepare('INSERT INTO kv(key, value, expires_at) VALUES(?, ?, ?)')
  .run('d', null, at.toISOString());
check('iso', one("SELECT expires_at FROM kv WHERE key = 'd'"), at / 1000);
const insert = db.prepare('INSERT INTO kv(key) VALUES(?)');
let message = '';
try {
  db.transaction(() => { insert.run('lost'); insert.run('v'); })();
} catch (e) {
  message = `${e.code} ${e.message}`;
}
check('duplicate', message,
      'SQLITE_CONSTRAINT_PRIMARYKEY UNIQUE constraint failed: kv.key');
check('rolled-back', one("SELECT count(*) FROM kv WHERE key = 'lost'"), 0);
db.close();
process.exit(failed ? 1 : 0);
