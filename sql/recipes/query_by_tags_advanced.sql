-- query_by_tags_advanced(tags, operator, page, page_size): AND, OR, NOT, pages.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE kv USING nadb;

INSERT INTO kv(key, value, tags) VALUES
    ('user:01', 'ann',  '["premium", "active"]'),
    ('user:02', 'bob',  '["trial", "active"]'),
    ('user:03', 'cid',  '["premium", "trial"]'),
    ('user:04', 'dan',  '["premium", "active", "banned"]'),
    ('user:05', 'eve',  '["active"]'),
    ('user:06', 'fay',  NULL),
    ('user:07', 'gus',  '["premium", "active"]'),
    ('user:08', 'hal',  '["trial", "region:eu"]'),
    ('user:09', 'ida',  '["premium", "region:eu"]'),
    ('user:10', 'joe',  '["premium", "region:us"]');

-- operator='AND'
SELECT value FROM kv WHERE tags MATCH 'premium AND active' ORDER BY key;
--> ann
--> dan
--> gus

-- operator='OR'
SELECT value FROM kv WHERE tags MATCH 'trial OR banned' ORDER BY key;
--> bob
--> cid
--> dan
--> hal
SELECT value FROM kv WHERE tag IN ('trial', 'banned') ORDER BY key LIMIT 2;
--> bob
--> cid

-- Both, with NOT.
SELECT value FROM kv
WHERE tags MATCH 'premium AND (active OR trial) NOT banned' ORDER BY key;
--> ann
--> cid
--> gus

-- NOT alone: rows without the tag, those without any tag included.
SELECT value FROM kv WHERE tags MATCH 'NOT premium' ORDER BY key;
--> bob
--> eve
--> fay
--> hal

-- A prefix, and any text in quotes.
SELECT value FROM kv WHERE tags MATCH 'region:* NOT "region:us"' ORDER BY key;
--> hal
--> ida

-- Pages of two: page 2.
SELECT key, value FROM kv WHERE tags MATCH 'premium' ORDER BY key
LIMIT 2 OFFSET 2;
--> user:04|dan
--> user:07|gus

-- Pages that stay right while rows come and go, and that cost the same however
-- far one has read: go on behind the last key of the page before.
SELECT key, value FROM kv WHERE tags MATCH 'premium' AND key > 'user:07'
ORDER BY key LIMIT 2;
--> user:09|ida
--> user:10|joe

-- How many there are in all, for "page 2 of 3".
SELECT count(*), (count(*) + 1) / 2 FROM kv WHERE tags MATCH 'premium';
--> 6|3
