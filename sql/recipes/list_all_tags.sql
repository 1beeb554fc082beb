-- list_all_tags(): every tag, and how many rows have it.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE kv USING nadb;

INSERT INTO kv(key, tags) VALUES
    ('a', '["red", "big"]'), ('b', '["red"]'), ('c', '["blue", "big"]'),
    ('d', NULL);
INSERT INTO kv(key, tags, expires_at) VALUES('gone', '["red", "old"]', 1);

-- Exact, without rows that have expired.
SELECT tag, count FROM nadb_tags('kv');
--> big|2
--> blue|1
--> red|2

-- The most frequent ones.
SELECT tag, count FROM nadb_tags('kv') ORDER BY count DESC, tag LIMIT 2;
--> big|2
--> red|2

-- Tags that are seen together with another.
SELECT j.value AS tag, count(*) FROM kv, json_each(kv.tags) AS j
WHERE kv.tags MATCH 'big' AND j.value <> 'big' GROUP BY 1 ORDER BY 1;
--> blue|1
--> red|1

-- Give one tag another name, in every row.
BEGIN;
SELECT sum(nadb_tag('kv', key, 'scarlet')), sum(nadb_untag('kv', key, 'red'))
FROM kv WHERE tag = 'red';
--> 2|2
COMMIT;
SELECT group_concat(tag) FROM nadb_tags('kv');
--> big,blue,scarlet
