-- A store in files and one on a Redis server: copying rows between them with
-- their times, tags and expiry, listing what differs, and making it the same.
--
-- Run it as query_by_tags.sql, with a server that listens at this socket.

CREATE VIRTUAL TABLE here USING nadb;
CREATE VIRTUAL TABLE there USING nadb(backend=redis,
    socket='/run/redis/redis-server.sock');

INSERT INTO here(key, value, tags, created_at, updated_at, expires_at) VALUES
    ('text', 'hello', '["a", "b"]', 1700000000.25, 1700000001.5, NULL),
    ('number', 42, '["a"]', 1700000000, 1700000000, 4000000000.125),
    ('real', 0.1, NULL, 1700000002, 1700000003, NULL),
    ('blob', x'00ff', '["b"]', 1700000004, 1700000004, NULL),
    ('null', NULL, NULL, 1700000005, 1700000005, NULL);

-- All rows, in one transaction. On Redis a transaction can have 100,000 rows
-- and 64 MB: copy more in pieces, by ranges of keys.
INSERT OR REPLACE INTO there(key, value, tags, created_at, updated_at,
                             expires_at)
SELECT key, value, tags, created_at, updated_at, expires_at FROM here;
SELECT key, typeof(value), tags, created_at, updated_at, expires_at
FROM there WHERE tag = 'a' ORDER BY key;
--> number|integer|["a"]|1700000000.0|1700000000.0|4000000000.125
--> text|text|["a","b"]|1700000000.25|1700000001.5|

-- What differs. Each side is read twice from one end to the other, in pages;
-- a join would ask the server for each row by itself.
CREATE TEMP VIEW rows_here AS
SELECT key, typeof(value), value, tags, created_at, updated_at, expires_at
FROM main.here;
CREATE TEMP VIEW rows_there AS
SELECT key, typeof(value), value, tags, created_at, updated_at, expires_at
FROM main.there;
CREATE TEMP VIEW difference AS
SELECT key, CASE count(*) WHEN 2 THEN 'differs' ELSE 'only ' || min(side) END
       AS what
FROM (SELECT 'here' AS side, key FROM
          (SELECT * FROM rows_here EXCEPT SELECT * FROM rows_there)
      UNION ALL
      SELECT 'there', key FROM
          (SELECT * FROM rows_there EXCEPT SELECT * FROM rows_here))
GROUP BY key ORDER BY key;
SELECT count(*) FROM difference;
--> 0

-- Both copies are changed.
UPDATE there SET value = 43 WHERE key = 'number';
UPDATE here SET tags = '["a"]' WHERE key = 'text';
DELETE FROM there WHERE key = 'blob';
INSERT INTO there(key, value) VALUES('new', 1);
SELECT * FROM difference;
--> blob|only here
--> new|only there
--> number|differs
--> text|differs

-- Make `there` what `here` is.
BEGIN;
INSERT OR REPLACE INTO there(key, value, tags, created_at, updated_at,
                             expires_at)
SELECT key, value, tags, created_at, updated_at, expires_at FROM here
WHERE key IN (SELECT key FROM difference WHERE what <> 'only there');
DELETE FROM there
WHERE key IN (SELECT key FROM difference WHERE what = 'only there');
COMMIT;
SELECT count(*) FROM difference;
--> 0

-- And back: `here` is lost, and comes from the server.
SELECT nadb_clear('here');
--> 5
SELECT what, count(*) FROM difference GROUP BY what;
--> only there|5
INSERT INTO here(key, value, tags, created_at, updated_at, expires_at)
SELECT key, value, tags, created_at, updated_at, expires_at FROM there;
SELECT count(*) FROM difference;
--> 0
SELECT count(*) FROM here WHERE tag = 'a';
--> 2
