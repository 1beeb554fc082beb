// scenario.js ADAPTER [second] - the scenario through a driver of Node.
//
// ADAPTER is a file that exports, with the code of the binding's page:
// rows(sql, ...args), big(sql), transaction(function), reopen(), close(),
// version. All but version may be asynchronous.
'use strict';
const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

const db = require(process.argv[2]);
const TEXT = 'Grüße, 世界 😀';
const PUT = 'INSERT INTO kv(key, value) VALUES(?, ?)';

async function one(sql, ...args) {
  const found = await db.rows(sql, ...args);
  return found.length ? Object.values(found[0])[0] : undefined;
}

function get(key, column = 'value') {
  return one(`SELECT ${column} FROM kv WHERE key = ?`, key);
}

function say(...words) {
  fs.writeSync(1, words.join(' ') + '\n');
}

async function second() {
  await db.rows(PUT, 'second', 2);
  say('second-reads', await get('text'));
}

async function main() {
  say('# ' + db.version + ', SQLite', await one('SELECT sqlite_version()'));
  const binary = fs.readFileSync('binary');
  const same = async () =>
    Buffer.from(await get('binary')).equals(binary) ? 'same' : 'different';
  await db.rows('CREATE VIRTUAL TABLE kv USING nadb');
  await db.rows('CREATE TABLE plain(x)');
  await db.transaction(async () => {
    for (const pair of [['text', TEXT], ['binary', binary], ['integer', 42],
      ['real', 1.5], ['big', 9007199254740993n], ['null', null], [5, 'five']]) {
      await db.rows(PUT, ...pair);
    }
    await db.rows('INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)',
      'tagged', 1, JSON.stringify(['b', 'a']), 3600);
  });
  say('text', await get('text'));
  say('binary', await same());
  say('binary-type', await get('binary', 'typeof(value)'),
    await get('binary', 'size'));
  say('integer', await get('integer'));
  say('real', await get('real'));
  say('big', await db.big("SELECT value FROM kv WHERE key = 'big'"),
    await get('big', 'typeof(value)'));
  say('null', await get('null') === null
    ? await get('null', 'typeof(value)') : 'no');
  say('missing',
    (await db.rows('SELECT 1 FROM kv WHERE key = ?', 'nosuch')).length);
  say('tags', await get('tagged', 'tags'));
  say('tag', await one('SELECT key FROM kv WHERE tag = ? AND tag = ?', 'a', 'b'));
  say('match', await one('SELECT key FROM kv WHERE tags MATCH ?', 'a NOT c'));
  say('ttl', await get('tagged', 'ttl > 3500 AND ttl <= 3600'));
  say('number-key', await one('SELECT key FROM kv WHERE key = ?', 5),
    await get(5));
  const incr = "SELECT nadb_incr('kv', ?, ?)";
  say('incr', await one(incr, 'n', 2), await one(incr, 'n', 2));
  say('pop', await one("SELECT nadb_pop('kv', ?)", 'n'));
  await db.rows('INSERT INTO kv(key, ttl) VALUES(?, ?)', 'brief', 0.05);
  while (await get('brief', '1')) await new Promise(r => setTimeout(r, 5));
  say('expired', await one('SELECT count(*) FROM kv WHERE key = ?', 'brief'));
  const tagged = "SELECT count(*) FROM kv WHERE tag = 'a'";
  try {
    await db.transaction(async () => {
      await db.rows('REPLACE INTO kv(key, value) VALUES(?, ?)', 'text', 'lost');
      await db.rows(PUT, 'lost', 1);
      await db.rows('INSERT INTO plain VALUES(1)');
      await db.rows('UPDATE kv SET tags = NULL WHERE tag = ?', 'a');
      say('inside', await get('text'), await one(tagged));
      throw new Error('roll back');
    });
  } catch (e) {
    if (e.message !== 'roll back') throw e;
  }
  say('rolled-back', await get('text'));
  say('rolled-back-rows', await one("SELECT count(*) FROM kv WHERE key = 'lost'"),
    await one('SELECT count(*) FROM plain'), await one(tagged));
  await db.transaction(async () => {
    await db.rows(PUT, 'committed', 1);
    await db.rows('INSERT INTO plain VALUES(1)');
  });
  say('committed', await get('committed'), await one('SELECT x FROM plain'));
  try {
    await db.rows(PUT, 'text', 1);
  } catch (e) {
    say('duplicate', /UNIQUE constraint failed: kv\.key/.exec(e.message));
  }
  const keys = await db.rows('SELECT key FROM kv ORDER BY key');
  say('keys', ...keys.map(row => row.key));
  await db.reopen();
  say('reopen', await get('text'));
  say('reopen-binary', await same());
  say('second-process', spawnSync('./second').status);
  say('second-wrote', await get('second'));
  say('check', await one("SELECT nadb_check('kv')"));
}

(process.argv[3] ? second() : main()).then(() => db.close());
