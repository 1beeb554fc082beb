// keyv_nadb.mjs - an nadb table as a store of Keyv.
import { EventEmitter } from 'node:events';
import Database from 'better-sqlite3';

export class KeyvNadb extends EventEmitter {
  // `extension` is the path of the library.
  constructor(file, extension) {
    super();
    this.opts = { dialect: 'sqlite', url: `sqlite://${file}` }; // as Keyv asks
    this.db = new Database(file);
    this.db.loadExtension(extension);
    this.db.exec('CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb');
    const each = 'key IN (SELECT value FROM json_each(?))';
    const own = "key >= ? || ':' AND key < ? || ';'"; // of a namespace
    this.sql = {
      get: this.db.prepare('SELECT value FROM kv WHERE key = ?').pluck(),
      some: this.db.prepare(`SELECT key, value FROM kv WHERE ${each}`).raw(),
      set: this.db.prepare(
        'INSERT OR REPLACE INTO kv(key, value, ttl) VALUES(?, ?, ? / 1000.0)'),
      delete: this.db.prepare(`DELETE FROM kv WHERE ${each}`),
      clear: this.db.prepare("SELECT nadb_clear('kv')"),
      clearOwn: this.db.prepare(`DELETE FROM kv WHERE ${own}`),
      all: this.db.prepare('SELECT key, value FROM kv').raw(),
      allOwn: this.db.prepare(`SELECT key, value FROM kv WHERE ${own}`).raw()
    };
  }

  async get(key) {
    return this.sql.get.get(key);
  }

  async getMany(keys) {
    const found = new Map(this.sql.some.all(JSON.stringify(keys)));
    return keys.map(key => found.get(key));
  }

  async has(key) {
    return this.sql.get.get(key) !== undefined;
  }

  async set(key, value, ttl) {
    this.sql.set.run(key, value, ttl);
  }

  async delete(key) {
    return this.deleteMany([key]);
  }

  async deleteMany(keys) {
    return this.sql.delete.run(JSON.stringify(keys)).changes > 0;
  }

  async clear() {
    if (this.namespace === undefined) this.sql.clear.get();
    else this.sql.clearOwn.run(this.namespace, this.namespace);
  }

  async * iterator(namespace) {
    yield* namespace === undefined
      ? this.sql.all.all() : this.sql.allOwn.all(namespace, namespace);
  }

  async disconnect() {
    this.db.close();
  }
}
