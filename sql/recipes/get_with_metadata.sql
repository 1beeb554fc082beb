-- get_with_metadata(key): the value, and what the store knows of it.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE kv USING nadb;

INSERT INTO kv(key, value, tags, expires_at, created_at, updated_at) VALUES
    ('report', replace(hex(zeroblob(2000)), '00', 'text'), '["b", "a"]',
     4102444800, 1700000000.25, 1700000100.5);

SELECT length(value), size, stored_size < size, tags, expires_at,
    created_at, updated_at
FROM kv WHERE key = 'report';
--> 8000|8000|1|["a","b"]|4102444800.0|1700000000.25|1700000100.5

-- As one JSON object, as a program wants it.
SELECT json_object('size', size, 'tags', json(tags),
    'created', datetime(created_at, 'unixepoch'),
    'expires', datetime(expires_at, 'unixepoch'))
FROM kv WHERE key = 'report';
--> {"size":8000,"tags":["a","b"],"created":"2023-11-14 22:13:20","expires":"2100-01-01 00:00:00"}

-- Without the value, which is then not read.
SELECT key, size, ttl > 0 FROM kv WHERE tags MATCH 'a';
--> report|8000|1

-- Single fields, for a key at hand.
SELECT nadb_tags('kv', 'report'), nadb_ttl('kv', 'report') > 0,
    nadb_tags('kv', 'no such key');
--> ["a","b"]|1|
