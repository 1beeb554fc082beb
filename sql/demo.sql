-- demo.sql - a tour of nadb in the sqlite3 shell, on the C headers of this
-- machine. demo.sh runs it (make demo); so does, beside a built nadb.so,
--     sqlite3 demo.db < sql/demo.sql
.mode box
.load ./nadb

.print
.print ── 1. A table that is a key-value store ────────────────────────────────
.print
.print Any SQLite program can load the library. The table's rows are in a store
.print on disk beside the database file, with a log, a buffer and compression.
.print
.echo on
CREATE VIRTUAL TABLE headers USING nadb;
.echo off

.print
.print ── 2. Load every C header of this machine, in one statement ────────────
.print
.print The key is the path, the value the file, byte for byte. Two tags say in
.print which folder it is and what its extension is.
.print
.timer on
.echo on
INSERT INTO headers(key, value, tags)
  SELECT path, data,
         json_array('in:' || CASE instr(path, '/') WHEN 0 THEN '.'
                             ELSE substr(path, 1, instr(path, '/') - 1) END,
                    'ext:' || CASE WHEN instr(file, '.') = 0 THEN 'none'
                              ELSE replace(file, rtrim(file,
                                   replace(file, '.', '')), '') END)
  FROM (SELECT substr(name, 14) AS path, data,
               replace(name, rtrim(name, replace(name, '/', '')), '') AS file
        FROM fsdir('/usr/include')
        WHERE mode & 61440 = 32768 AND data IS NOT NULL);
.echo off
.timer off

.print
.print ── 3. How many, and how large before and after compression ─────────────
.print
.echo on
SELECT count(*) AS files,
       printf('%,d', sum(size)) AS bytes,
       printf('%,d', sum(stored_size)) AS stored,
       printf('%.1f %%', 100.0 * sum(stored_size) / sum(size)) AS ratio
FROM headers;

SELECT tag.value AS tag, count(*) AS files, printf('%,d', sum(size)) AS bytes
FROM headers, json_each(headers.tags) AS tag
WHERE tag.value GLOB 'ext:*'
GROUP BY 1 ORDER BY 2 DESC LIMIT 6;
.echo off

.print
.print ── 4. Look one up, list a few, ask the planner ─────────────────────────
.print
.echo on
SELECT key, size, stored_size, tags,
       datetime(created_at, 'unixepoch') AS created
FROM headers WHERE key = 'stdio.h';

SELECT key, size FROM headers WHERE key GLOB 'std*' ORDER BY key LIMIT 5;

EXPLAIN QUERY PLAN
SELECT key, size FROM headers WHERE key GLOB 'std*' ORDER BY key LIMIT 5;
.echo off

.print
.print ── 5. Compare every byte with the files ────────────────────────────────
.print
.echo on
SELECT count(*) AS files, sum(headers.value = disk.data) AS identical,
       sum(headers.value <> disk.data) AS different
FROM fsdir('/usr/include') AS disk
JOIN headers ON headers.key = substr(disk.name, 14)
WHERE disk.data IS NOT NULL AND disk.mode & 61440 = 32768;
.echo off

.print
.print ── 6. Transactions cover ordinary tables and the store ─────────────────
.print
.echo on
CREATE TABLE note(text);
BEGIN;
DELETE FROM headers WHERE key GLOB 's*';
INSERT INTO note VALUES('removed what begins with s');
SELECT count(*) AS headers, (SELECT count(*) FROM note) AS notes FROM headers;
ROLLBACK;
SELECT count(*) AS headers, (SELECT count(*) FROM note) AS notes FROM headers;
.echo off

.print
.print ── 7. A row that expires ───────────────────────────────────────────────
.print
.echo on
INSERT INTO headers(key, value, ttl) VALUES('session:42', 'for a moment', 0.3);
SELECT key, value, round(ttl, 1) AS seconds_left FROM headers
WHERE key = 'session:42';
.echo off
.shell sleep 0.4
.print ... 0.4 seconds later:
.echo on
SELECT count(*) AS rows FROM headers WHERE key = 'session:42';
.echo off
