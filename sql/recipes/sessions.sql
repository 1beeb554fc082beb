-- Web sessions: they expire by themselves, each request keeps one alive, and
-- all sessions of a user can be ended at once.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE session USING nadb(default_ttl=1800);

-- Log in: the key is what the cookie holds, 16 random bytes in a program
-- (lower(hex(randomblob(16)))), and the tag says whose session it is.
INSERT INTO session(key, value, tags) VALUES
    ('b1f0', '{"user": 7, "cart": []}', '["user:7"]'),
    ('77ac', '{"user": 7, "cart": []}', '["user:7"]'),
    ('e90d', '{"user": 9, "cart": []}', '["user:9"]');

-- A request: no row means "log in first".
SELECT value ->> 'user', ttl BETWEEN 1790 AND 1800 FROM session
WHERE key = 'b1f0';
--> 7|1

-- Extends the session. A session is written only if half of its time has passed, so a
-- click every second causes one write in a quarter of an hour.
UPDATE session SET ttl = 1800 WHERE key = 'b1f0' AND ttl < 900;
SELECT changes();
--> 0
UPDATE session SET ttl = 600 WHERE key = 'b1f0';
UPDATE session SET ttl = 1800 WHERE key = 'b1f0' AND ttl < 900;
SELECT changes(), nadb_ttl('session', 'b1f0') > 1790;
--> 1|1

-- Something goes into the cart. The expiry stays as it is.
UPDATE session SET value = json_set(value, '$.cart[#]', 'book')
WHERE key = 'b1f0';
SELECT value FROM session WHERE key = 'b1f0';
--> {"user":7,"cart":["book"]}

-- A session that is over is not there, for any statement.
UPDATE session SET ttl = 0 WHERE key = 'e90d';
SELECT count(*) FROM session WHERE key = 'e90d';
--> 0

-- Number of sessions of each user, without reading a session.
SELECT tag, count FROM nadb_tags('session');
--> user:7|2

-- Log out, and log out everywhere (a new password).
DELETE FROM session WHERE key = '77ac';
DELETE FROM session WHERE tag = 'user:7';
SELECT changes(), (SELECT count(*) FROM session);
--> 1|0
