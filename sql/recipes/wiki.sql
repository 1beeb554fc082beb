-- A wiki: pages, their old versions, and edits at the same time.
--
-- Run it as query_by_tags.sql. The triggers call nadb_incr(), which needs a trusted
-- schema: PRAGMA trusted_schema = ON, the default except in the sqlite3 shell from
-- 3.46 on.

CREATE VIRTUAL TABLE page USING nadb;
CREATE VIRTUAL TABLE version USING nadb;

-- Writing a page goes through a view: its trigger keeps the old text.
CREATE VIEW wiki AS SELECT key AS name, value AS text, tags FROM page;
CREATE TRIGGER wiki_insert INSTEAD OF INSERT ON wiki BEGIN
    INSERT INTO version(key, value)
        SELECT new.name || '#' || printf('%06d',
            nadb_incr('version', 'number of ' || new.name)), value
        FROM page WHERE key = new.name;
    INSERT OR REPLACE INTO page(key, value, tags)
        VALUES(new.name, new.text, new.tags);
END;

INSERT INTO wiki VALUES('Home', 'first', '["public"]');
INSERT INTO wiki VALUES('Home', 'second', '["public"]');
INSERT INTO wiki VALUES('Home', 'third', '["public", "locked"]');

SELECT name, text FROM wiki WHERE tags MATCH 'public';
--> Home|third
SELECT key, value FROM version WHERE key GLOB 'Home#*' ORDER BY key;
--> Home#000001|first
--> Home#000002|second

-- Two users change a page. The second one has read an older text, so its UPDATE
-- changes nothing, and changes() is 0.
UPDATE page SET value = 'fourth' WHERE key = 'Home' AND value = 'third';
SELECT changes();
--> 1
UPDATE page SET value = 'fifth' WHERE key = 'Home' AND value = 'third';
SELECT changes();
--> 0
