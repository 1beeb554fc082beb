-- query_by_tags(['electronics', 'sale']): the rows that have all of the tags.
--
-- Run it: sqlite3 app.db '.load ./nadb' '.read sql/recipes/query_by_tags.sql'
-- A line that begins with --> is what the query before it answers.

CREATE VIRTUAL TABLE kv USING nadb;

INSERT INTO kv(key, value, tags) VALUES
    ('product:1', 'phone',  '["electronics", "sale"]'),
    ('product:2', 'radio',  '["electronics"]'),
    ('product:3', 'lamp',   '["home", "sale"]'),
    ('product:4', 'tablet', '["electronics", "new", "sale"]'),
    ('product:5', 'chair',  NULL);

-- One tag, and several: each = is one more tag that must be there.
SELECT key FROM kv WHERE tag = 'electronics' ORDER BY key;
--> product:1
--> product:2
--> product:4
SELECT key, value FROM kv WHERE tag = 'electronics' AND tag = 'sale'
ORDER BY key;
--> product:1|phone
--> product:4|tablet

-- The same in one expression, which may be a parameter: words side by side
-- must all be there.
SELECT key FROM kv WHERE tags MATCH 'electronics sale' ORDER BY key;
--> product:1
--> product:4

-- Tags that come as a JSON array, as a Python program has them.
SELECT key FROM kv
WHERE NOT EXISTS (SELECT 1 FROM json_each('["electronics", "sale"]') AS wanted
                  WHERE wanted.value NOT IN (SELECT value FROM json_each(tags)))
ORDER BY key;
--> product:1
--> product:4

-- Joined: the tags stand in a table.
CREATE TABLE interest(who, tag);
INSERT INTO interest VALUES('ann', 'home'), ('bob', 'new'), ('bob', 'home');
SELECT who, group_concat(key) FROM (
    SELECT who, key FROM interest JOIN kv ON kv.tag = interest.tag
    ORDER BY who, key)
GROUP BY who;
--> ann|product:3
--> bob|product:3,product:4
