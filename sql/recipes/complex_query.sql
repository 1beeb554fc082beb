-- complex_query(tags, key pattern, size, dates): conditions are SQL.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE kv USING nadb;

INSERT INTO kv(key, value, tags, created_at, updated_at) VALUES
    ('doc:2024:a', 'first draft', '["draft"]',
     unixepoch('2024-01-10'), unixepoch('2024-01-12')),
    ('doc:2024:b', 'a longer text, and final', '["final", "public"]',
     unixepoch('2024-02-01'), unixepoch('2024-03-01')),
    ('doc:2025:a', 'final, but secret', '["final", "secret"]',
     unixepoch('2025-01-01'), unixepoch('2025-01-05')),
    ('doc:2025:b', '{"title": "JSON", "pages": 12}', '["final", "public"]',
     unixepoch('2025-02-01'), unixepoch('2025-02-03')),
    ('img:2025:c', x'89504e47', '["public"]',
     unixepoch('2025-03-01'), unixepoch('2025-03-01'));

-- Tags and a pattern of keys.
SELECT key FROM kv
WHERE key GLOB 'doc:*' AND tags MATCH 'final NOT secret' ORDER BY key;
--> doc:2024:b
--> doc:2025:b

-- Tags, size and dates.
SELECT key, size, date(updated_at, 'unixepoch') FROM kv
WHERE tags MATCH 'public OR draft' AND size > 10
  AND updated_at >= unixepoch('2024-01-01')
  AND updated_at < unixepoch('2025-01-01')
ORDER BY updated_at DESC;
--> doc:2024:b|24|2024-03-01
--> doc:2024:a|11|2024-01-12

-- What stands in the value.
SELECT key, value ->> 'title' FROM kv
WHERE tags MATCH 'public' AND json_valid(value) AND value ->> 'pages' > 10;
--> doc:2025:b|JSON

-- MATCH stands anywhere in an expression.
SELECT typeof(value), count(*), count(*) FILTER (WHERE tags MATCH 'final')
FROM kv GROUP BY typeof(value) ORDER BY 1;
--> blob|1|0
--> text|4|3

-- Change and delete by the same conditions.
UPDATE kv SET tags = '["archived"]'
WHERE tags MATCH 'draft' AND updated_at < unixepoch('2025-01-01');
DELETE FROM kv WHERE tags MATCH 'secret';
SELECT key, tags FROM kv WHERE key GLOB 'doc:*' ORDER BY key;
--> doc:2024:a|["archived"]
--> doc:2024:b|["final","public"]
--> doc:2025:b|["final","public"]
