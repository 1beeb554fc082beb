// nadb_level.js - an nadb table as a database of abstract-level.
//
// Keys and values are BLOBs. A snapshot is a read transaction on a connection
// of its own, which the database keeps for the next one. An iterator reads
// pages from a snapshot, each beginning where the last one has ended.
'use strict';
const fs = require('fs');
const path = require('path');
const Database = require('better-sqlite3');
const {
  AbstractLevel, AbstractIterator, AbstractSnapshot
} = require('abstract-level');

const COMPARE = { gt: '>', gte: '>=', lt: '<', lte: '<=' };
const LOWER = ['gte', 'gt'];
const UPPER = ['lte', 'lt'];

// The first of these bounds that `options` has, as [[name, key]], or [].
function bound(options, names) {
  const name = names.find(name => options[name] !== undefined);
  return name === undefined ? [] : [[name, options[name]]];
}

function range(options) {
  return [...bound(options, LOWER), ...bound(options, UPPER)];
}

function inside(key, options) {
  return range(options).every(([name, limit]) => {
    const order = Buffer.compare(key, limit);
    if (order === 0) return name.endsWith('e');
    return order > 0 === name.startsWith('g');
  });
}

// The rows within these bounds, as the end of a SELECT, and what it binds.
function rows(limits, reverse, limit) {
  const where = limits.map(([name]) => `key ${COMPARE[name]} ?`);
  return {
    sql: (where.length ? ` WHERE ${where.join(' AND ')}` : '') +
      ` ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`,
    values: [...limits.map(([, key]) => key), limit]
  };
}

class NadbSnapshot extends AbstractSnapshot {
  constructor(level, options) {
    super(options);
    this.level = level;
    this.connection = level.idle.pop() ?? level.connect();
    this.connection.exec('BEGIN');
    this.connection.prepare('SELECT key FROM kv LIMIT 1').get();
  }

  async _close() {
    this.connection.exec('COMMIT');
    this.level.idle.push(this.connection);
  }
}

class NadbIterator extends AbstractIterator {
  constructor(level, options) {
    super(level, options);
    this.options = options;
    if (!options.snapshot) this.own = new NadbSnapshot(level, { owner: level });
    this.connection = (options.snapshot ?? this.own).connection;
    const [near, far] = options.reverse ? [UPPER, LOWER] : [LOWER, UPPER];
    this.near = bound(options, near);
    this.far = bound(options, far);
  }

  async _next() {
    return (await this._nextv(1))[0];
  }

  async _nextv(size) {
    const { reverse, values } = this.options;
    const { sql, values: keys } =
      rows([...this.near, ...this.far], reverse, size);
    const page = this.connection
      .prepare(`SELECT key, ${values ? 'value' : 'NULL'} FROM kv${sql}`)
      .raw().all(...keys);
    if (page.length > 0) {
      this.near = [[reverse ? 'lt' : 'gt', page[page.length - 1][0]]];
    }
    return page;
  }

  _seek(target) {
    this.near = [[this.options.reverse ? 'lte' : 'gte', target]];
    this.far = inside(target, this.options)
      ? bound(this.options, this.options.reverse ? LOWER : UPPER)
      : [['lt', Buffer.alloc(0)]]; // no key is less than the empty one
  }

  async _close() {
    await this.own?.close();
  }
}

class NadbLevel extends AbstractLevel {
  // `extension` is the path of the library.
  constructor(location, extension, options) {
    super({
      encodings: { buffer: true }, has: true, getSync: true, seek: true,
      implicitSnapshots: true, explicitSnapshots: true, permanence: true,
      createIfMissing: true, errorIfExists: true
    }, options);
    this.location = location;
    this.extension = extension;
    this.idle = []; // connections without a snapshot
  }

  connect() {
    const connection = new Database(path.join(this.location, 'level.db'));
    connection.loadExtension(this.extension);
    return connection;
  }

  async _open({ createIfMissing, errorIfExists }) {
    const exists = fs.existsSync(this.location);
    if (!exists && !createIfMissing) {
      throw new Error(`${this.location} does not exist`);
    }
    if (exists && errorIfExists) throw new Error(`${this.location} exists`);
    fs.mkdirSync(this.location, { recursive: true });
    this.db = this.connect();
    this.db.pragma('journal_mode = WAL');
    this.db.exec('CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb');
    this.sql = {
      put: this.db.prepare(
        'INSERT OR REPLACE INTO kv(key, value) VALUES(?, ?)'),
      del: this.db.prepare('DELETE FROM kv WHERE key = ?')
    };
  }

  async _close() {
    for (const idle of this.idle.splice(0)) idle.close();
    this.db.close();
  }

  _getSync(key, { snapshot }) {
    return (snapshot?.connection ?? this.db)
      .prepare('SELECT value FROM kv WHERE key = ?').pluck().get(key);
  }

  async _get(key, options) {
    return this._getSync(key, options);
  }

  async _getMany(keys, options) {
    return keys.map(key => this._getSync(key, options));
  }

  async _has(key, { snapshot }) {
    return (snapshot?.connection ?? this.db)
      .prepare('SELECT 1 FROM kv WHERE key = ?').get(key) !== undefined;
  }

  async _hasMany(keys, options) {
    return Promise.all(keys.map(key => this._has(key, options)));
  }

  async _put(key, value) {
    this.sql.put.run(key, value);
  }

  async _del(key) {
    this.sql.del.run(key);
  }

  async _batch(operations) {
    this.db.transaction(() => {
      for (const { type, key, value } of operations) {
        if (type === 'put') this.sql.put.run(key, value);
        else this.sql.del.run(key);
      }
    }).immediate();
  }

  async _clear(options) {
    const { sql, values } =
      rows(range(options), options.reverse, options.limit);
    const from = options.snapshot?.connection;
    if (from) {
      const keys =
        from.prepare(`SELECT key FROM kv${sql}`).pluck().all(...values);
      return this._batch(keys.map(key => ({ type: 'del', key })));
    }
    this.db.prepare(`DELETE FROM kv WHERE key IN (SELECT key FROM kv${sql})`)
      .run(...values);
  }

  _iterator(options) {
    return new NadbIterator(this, options);
  }

  _snapshot(options) {
    return new NadbSnapshot(this, options);
  }
}

module.exports = { NadbLevel };
