-- A rate limiter: so many requests of a client in a window of time. The
-- counters are shared by all processes, and go by themselves.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE hits USING nadb(synchronous=off);

-- Fixed windows: 3 requests in 60 seconds. The first request makes the counter
-- with its ttl; the others count on, and the window ends 60 seconds after the
-- first. nadb_incr is one atomic call.
SELECT nadb_incr('hits', 'ip:192.0.2.1', 1, 0, 60) <= 3;
--> 1
SELECT nadb_incr('hits', 'ip:192.0.2.1', 1, 0, 60) <= 3;
--> 1
SELECT nadb_incr('hits', 'ip:192.0.2.1', 1, 0, 60) <= 3;
--> 1
SELECT nadb_incr('hits', 'ip:192.0.2.1', 1, 0, 60) <= 3;
--> 0
-- When to try again (Retry-After), in seconds.
SELECT CAST(nadb_ttl('hits', 'ip:192.0.2.1') AS INTEGER) BETWEEN 50 AND 60;
--> 1
-- Another client has a window of its own.
SELECT nadb_incr('hits', 'ip:192.0.2.2', 1, 0, 60) <= 3;
--> 1
-- The window is over (here at once): counting begins anew.
SELECT nadb_set_ttl('hits', 'ip:192.0.2.1', 0);
--> 1
SELECT nadb_incr('hits', 'ip:192.0.2.1', 1, 0, 60) <= 3;
--> 1

-- A sliding window, which does not allow twice the limit at the border of two
-- fixed ones: the counter of this minute, and of the minute before as much as
-- the window still covers. 45 seconds into minute 1001, with 8 requests in
-- minute 1000 and 3 in this one: 3 + 8 * 15 / 60.
INSERT INTO hits(key, value, ttl) VALUES('key:k7:1000', 8, 120);
SELECT nadb_incr('hits', 'key:k7:1001', 3, 0, 120);
--> 3
WITH now(t) AS (VALUES(1001 * 60 + 45)) -- in a program: unixepoch('now')
SELECT coalesce((SELECT value FROM hits WHERE key = 'key:k7:' || (t / 60)), 0)
     + coalesce((SELECT value FROM hits WHERE key = 'key:k7:' || (t / 60 - 1)), 0)
       * (60 - t % 60) / 60.0
FROM now;
--> 5.0

-- Clients near the limit, for the page of the operators.
SELECT key, value FROM hits WHERE key GLOB 'ip:*' ORDER BY value DESC, key;
--> ip:192.0.2.1|1
--> ip:192.0.2.2|1
