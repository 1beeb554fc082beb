-- A mirror on a Redis server of a store in files: after the first copy only
-- what has changed is sent, as nadb_changes lists it.
--
-- Run it as query_by_tags.sql, with a server that listens at this socket.

CREATE VIRTUAL TABLE here USING nadb(keep_changes=86400);
CREATE VIRTUAL TABLE mirror USING nadb(backend=redis,
    socket='/run/redis/redis-server.sock');
-- How far the mirror is: the number of a commit of `here`.
CREATE TABLE mirrored(seq INTEGER);

INSERT INTO here(key, value, tags) VALUES('a', 1, '["x"]'), ('b', 2, NULL),
    ('c', 3, '["x"]');

-- Once: all rows, with the number of the last commit that they are of. On
-- Redis a transaction can have 100,000 rows: copy more in ranges of keys.
BEGIN;
INSERT INTO mirrored SELECT nadb_seq('here');
INSERT OR REPLACE INTO mirror(key, value, tags, created_at, updated_at,
                              expires_at)
SELECT key, value, tags, created_at, updated_at, expires_at FROM here;
COMMIT;
SELECT count(*) FROM mirror WHERE tag = 'x';
--> 2

-- Meanwhile `here` goes on.
UPDATE here SET value = 'two', ttl = 3600 WHERE key = 'b';
DELETE FROM here WHERE key = 'c';
INSERT INTO here(key, value) VALUES('d', 4);

-- Then, whenever nadb_wait says so or every few seconds: what has changed. A
-- row that is gone by now is deleted, all others are sent as they are now. A
-- change without a key is a nadb_clear: then all that is not here is deleted.
BEGIN;
CREATE TEMP TABLE changed AS
SELECT max(seq) AS seq, key FROM nadb_changes('here', (SELECT seq FROM mirrored))
GROUP BY key;
DELETE FROM mirror WHERE key IN (SELECT key FROM changed
                                 EXCEPT SELECT key FROM here);
DELETE FROM mirror WHERE EXISTS (SELECT 1 FROM changed WHERE key IS NULL)
                     AND key NOT IN (SELECT key FROM here);
INSERT OR REPLACE INTO mirror(key, value, tags, created_at, updated_at,
                              expires_at)
SELECT key, value, tags, created_at, updated_at, expires_at FROM here
WHERE key IN (SELECT key FROM changed);
UPDATE mirrored SET seq = (SELECT max(seq) FROM changed)
WHERE EXISTS (SELECT 1 FROM changed);
SELECT count(*) FROM changed;
--> 3
DROP TABLE changed;
COMMIT;

SELECT key, value, tags, ttl IS NOT NULL FROM mirror ORDER BY key;
--> a|1|["x"]|0
--> b|two||1
--> d|4||0
-- Nothing is left to send.
SELECT count(*) FROM nadb_changes('here', (SELECT seq FROM mirrored));
--> 0
-- Both are equal, in all that is kept.
SELECT count(*) FROM
    (SELECT key, value, tags, created_at, updated_at, expires_at FROM here
     EXCEPT
     SELECT key, value, tags, created_at, updated_at, expires_at FROM mirror);
--> 0
