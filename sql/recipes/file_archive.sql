-- An archive of files with tags. Equal contents are stored once; old versions
-- of a file stay.
--
-- Run it as query_by_tags.sql. In the sqlite3 shell readfile('a.txt') is the
-- content of a file, and writefile('a.txt', value) writes one; here the
-- contents stand in the SQL.

CREATE VIRTUAL TABLE content USING nadb(compression=9);
CREATE VIRTUAL TABLE file USING nadb;

-- Putting a file in: its content under its SHA-256, its name beside that.
CREATE VIEW archive AS SELECT file.key AS name, content.value AS data, file.tags
FROM file JOIN content ON content.key = file.value;
CREATE TRIGGER archive_put INSTEAD OF INSERT ON archive BEGIN
    INSERT OR IGNORE INTO content(key, value)
        VALUES(nadb_sha256(new.data), new.data);
    INSERT INTO file(key, value, tags)
        SELECT key || '@' || strftime('%Y-%m-%d', updated_at, 'unixepoch')
               || ' ' || substr(value, 1, 8), value, '["old"]'
        FROM file
        WHERE key = new.name AND value <> nadb_sha256(new.data);
    INSERT OR REPLACE INTO file(key, value, tags)
        VALUES(new.name, nadb_sha256(new.data), new.tags);
END;

INSERT INTO archive VALUES
    ('letters/ann.txt', CAST('Dear Ann' AS BLOB), '["letter", "2026"]'),
    ('letters/bob.txt', CAST('Dear Bob' AS BLOB), '["letter", "2025"]'),
    ('copy of ann.txt', CAST('Dear Ann' AS BLOB), '["copy"]'),
    ('report.csv', CAST(replace(hex(zeroblob(5000)), '00', 'a,b;') AS BLOB),
     '["table", "2026"]');

-- Four names, three contents; the long one is compressed.
SELECT (SELECT count(*) FROM file), count(*), sum(size), sum(stored_size) < 500
FROM content;
--> 4|3|20016|1

SELECT name, CAST(data AS TEXT) FROM archive
WHERE tags MATCH '2026 letter' ORDER BY name;
--> letters/ann.txt|Dear Ann

-- What is in a folder, with sizes: no content is read for it.
SELECT file.key, content.size FROM file JOIN content ON content.key = file.value
WHERE file.key GLOB 'letters/*' ORDER BY file.key;
--> letters/ann.txt|8
--> letters/bob.txt|8

-- A new version: the old one stays, under a name with its day and its sum.
INSERT INTO archive VALUES
    ('letters/bob.txt', CAST('Dear Robert' AS BLOB), '["letter", "2025"]');
SELECT count(*), max(CAST(data AS TEXT)) FROM archive
WHERE tags MATCH 'old';
--> 1|Dear Bob
SELECT CAST(data AS TEXT) FROM archive WHERE name = 'letters/bob.txt';
--> Dear Robert

-- Is every content what its name says?
SELECT count(*) FROM content WHERE key <> nadb_sha256(value);
--> 0

-- Files go; contents that no name has go after them.
DELETE FROM file WHERE tags MATCH 'old OR copy';
DELETE FROM content WHERE key NOT IN (SELECT value FROM file);
SELECT count(*) FROM content;
--> 3
