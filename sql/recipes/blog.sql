-- A blog: posts with tags, a page of them, counted views, a short-lived cache.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE post USING nadb;
CREATE VIRTUAL TABLE cache USING nadb(default_ttl=60);

INSERT INTO post(key, value, tags) VALUES
    ('2025-01-10 hello', '{"title": "Hello"}', '["published", "news"]'),
    ('2025-02-11 sqlite', '{"title": "On SQLite"}', '["published", "tech"]'),
    ('2025-03-12 draft', '{"title": "Not yet"}', '["draft", "tech"]'),
    ('2025-04-13 keys', '{"title": "Keys"}', '["published", "tech"]');

-- The newest posts on tech; the next page goes on below the last key.
SELECT key, value ->> 'title' FROM post
WHERE tags MATCH 'published tech' ORDER BY key DESC LIMIT 1;
--> 2025-04-13 keys|Keys
SELECT key, value ->> 'title' FROM post
WHERE tags MATCH 'published tech' AND key < '2025-04-13 keys'
ORDER BY key DESC LIMIT 1;
--> 2025-02-11 sqlite|On SQLite

-- The archive by month.
SELECT substr(key, 1, 7), count(*) FROM post WHERE tag = 'published'
GROUP BY 1 ORDER BY 1;
--> 2025-01|1
--> 2025-02|1
--> 2025-04|1

-- Count views.
SELECT nadb_incr('post', 'views:keys'), nadb_incr('post', 'views:keys', 10);
--> 1|11

-- A page that was rendered stays in the cache for a minute.
INSERT OR REPLACE INTO cache(key, value) VALUES('/tech', '<html>..</html>');
SELECT value, ttl BETWEEN 50 AND 60 FROM cache WHERE key = '/tech';
--> <html>..</html>|1
