-- cleanup_expired(), set_with_ttl(): rows that go by themselves.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE kv USING nadb;

-- set_with_ttl(key, value, 3600)
INSERT INTO kv(key, value, ttl) VALUES('session:1', 'ann', 3600);
SELECT ttl BETWEEN 3590 AND 3600, expires_at > unixepoch('now') FROM kv;
--> 1|1

-- A row is gone for every query from the moment it expires. This one already is.
INSERT INTO kv(key, value, expires_at) VALUES('session:2', 'bob', 1000000000);
SELECT key FROM kv;
--> session:1

-- cleanup_expired(): what has expired leaves the store; the number of rows.
SELECT nadb_purge_expired('kv');
--> 1

-- Keep a session alive; make it stay for ever; what is left.
SELECT nadb_set_ttl('kv', 'session:1', 7200), nadb_ttl('kv', 'session:1') > 7000;
--> 1|1
SELECT nadb_set_ttl('kv', 'session:1', NULL), nadb_ttl('kv', 'session:1');
--> 1|
SELECT nadb_set_ttl('kv', 'no such key', 60);
--> 0

-- All at once, and what expires within an hour.
UPDATE kv SET ttl = 1800 WHERE key GLOB 'session:*';
SELECT key FROM kv WHERE expires_at < unixepoch('now') + 3600;
--> session:1
