-- Protection from a stampede: when a popular entry of a cache gets old, one
-- process makes it anew, and the others go on with the old one.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE cache USING nadb;

-- An entry is fresh for a minute, and is kept for an hour. `fresh:` is a row of
-- its own that expires earlier.
BEGIN;
INSERT OR REPLACE INTO cache(key, value, ttl) VALUES('report', 'old text', 3600);
INSERT OR REPLACE INTO cache(key, ttl) VALUES('fresh:report', 60);
COMMIT;

-- A request: the value, and whether it is fresh. One lookup of two keys.
SELECT max(CASE WHEN key = 'report' THEN value END),
       sum(key = 'fresh:report')
FROM cache WHERE key IN ('report', 'fresh:report');
--> old text|1

-- A minute later (here at once) it is there, and not fresh.
UPDATE cache SET ttl = 0 WHERE key = 'fresh:report';
SELECT max(CASE WHEN key = 'report' THEN value END),
       sum(key = 'fresh:report')
FROM cache WHERE key IN ('report', 'fresh:report');
--> old text|0

-- The process that inserts the lock makes the new value: with OR IGNORE only one
-- process inserts it. The lock expires, in case this process dies.
INSERT OR IGNORE INTO cache(key, value, ttl) VALUES('lock:report', 'A', 30);
SELECT changes();
--> 1
-- Another process comes second, and answers with the old value.
INSERT OR IGNORE INTO cache(key, value, ttl) VALUES('lock:report', 'B', 30);
SELECT changes(), (SELECT value FROM cache WHERE key = 'report');
--> 0|old text

-- A has the new value: it replaces the old one, if A still has the lock.
BEGIN IMMEDIATE;
INSERT OR REPLACE INTO cache(key, value, ttl)
SELECT 'report', 'new text', 3600 FROM cache
WHERE key = 'lock:report' AND value = 'A';
INSERT OR REPLACE INTO cache(key, ttl)
SELECT 'fresh:report', 60 FROM cache WHERE key = 'lock:report' AND value = 'A';
DELETE FROM cache WHERE key = 'lock:report' AND value = 'A';
COMMIT;
SELECT max(CASE WHEN key = 'report' THEN value END),
       sum(key = 'fresh:report'), sum(key = 'lock:report')
FROM cache WHERE key IN ('report', 'fresh:report', 'lock:report');
--> new text|1|0

-- The very first time there is no old value: the one that has the lock works,
-- and the others sleep until something is committed (at most 10 seconds), and
-- look again.
SELECT nadb_wait('cache', nadb_seq('cache') - 1, 10) = nadb_seq('cache');
--> 1
