<?php
// The scenario through PHP's class SQLite3.
require getenv('BLOCKS') . '/block1.php'; // the page's open_db

const TEXT = 'Grüße, 世界 😀';
const PUT = 'INSERT INTO kv(key, value) VALUES(?, ?)';
$db = open_db('scenario.db');

class Blob
{
    public function __construct(public string $bytes) {}
}

function rows(string $sql, mixed ...$args): array
{
    global $db;
    $statement = $db->prepare($sql);
    foreach ($args as $i => $arg) {
        if ($arg instanceof Blob) {
            $statement->bindValue($i + 1, $arg->bytes, SQLITE3_BLOB);
        } else {
            $statement->bindValue($i + 1, $arg);
        }
    }
    $result = $statement->execute();
    $rows = [];
    while ($result->numColumns() && $row = $result->fetchArray(SQLITE3_NUM)) {
        $rows[] = $row;
    }
    $statement->close();
    return $rows;
}

function one(string $sql, mixed ...$args): mixed
{
    return rows($sql, ...$args)[0][0] ?? null;
}

function get(mixed $key, string $column = 'value'): mixed
{
    return one("SELECT $column FROM kv WHERE key = ?", $key);
}

function say(mixed ...$words): void
{
    echo implode(' ', $words), "\n";
}

if ($argc > 1) {
    rows(PUT, 'second', 2);
    say('second-reads', get('text'));
    exit;
}
say('# PHP', PHP_VERSION . ', SQLite', SQLite3::version()['versionString']);
$binary = file_get_contents('binary');
$same = fn() => get('binary') === $binary ? 'same' : 'different';
$db->exec('CREATE VIRTUAL TABLE kv USING nadb; CREATE TABLE plain(x)');
$db->exec('BEGIN');
foreach ([['text', TEXT], ['binary', new Blob($binary)], ['integer', 42],
    ['real', 1.5], ['big', 9007199254740993], ['null', null],
    [5, 'five']] as $pair) {
    rows(PUT, ...$pair);
}
rows('INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)', 'tagged', 1,
    '["b", "a"]', 3600);
$db->exec('COMMIT');
say('text', get('text'));
say('binary', $same());
say('binary-type', get('binary', 'typeof(value)'), get('binary', 'size'));
say('integer', get('integer'));
say('real', get('real'));
say('big', get('big'), get('big', 'typeof(value)'));
say('null', get('null') === null ? get('null', 'typeof(value)') : 'no');
say('missing', count(rows('SELECT 1 FROM kv WHERE key = ?', 'nosuch')));
say('tags', get('tagged', 'tags'));
say('tag', one('SELECT key FROM kv WHERE tag = ? AND tag = ?', 'a', 'b'));
say('match', one('SELECT key FROM kv WHERE tags MATCH ?', 'a NOT c'));
say('ttl', get('tagged', 'ttl > 3500 AND ttl <= 3600'));
say('number-key', one('SELECT key FROM kv WHERE key = ?', 5), get(5));
// A prepared statement would run them twice (docs/bindings/php.md).
$incr = "SELECT nadb_incr('kv', 'n', 2)";
say('incr', $db->querySingle($incr), $db->querySingle($incr));
say('pop', $db->querySingle("SELECT nadb_pop('kv', 'n')"));
rows('INSERT INTO kv(key, ttl) VALUES(?, ?)', 'brief', 0.05);
while (get('brief', '1')) {
    usleep(5000);
}
say('expired', one('SELECT count(*) FROM kv WHERE key = ?', 'brief'));
$tagged = "SELECT count(*) FROM kv WHERE tag = 'a'";
$db->exec('BEGIN');
rows('REPLACE INTO kv(key, value) VALUES(?, ?)', 'text', 'lost');
rows(PUT, 'lost', 1);
rows('INSERT INTO plain VALUES(1)');
rows('UPDATE kv SET tags = NULL WHERE tag = ?', 'a');
say('inside', get('text'), one($tagged));
$db->exec('ROLLBACK');
say('rolled-back', get('text'));
say('rolled-back-rows', one("SELECT count(*) FROM kv WHERE key = 'lost'"),
    one('SELECT count(*) FROM plain'), one($tagged));
$db->exec('BEGIN');
rows(PUT, 'committed', 1);
rows('INSERT INTO plain VALUES(1)');
$db->exec('COMMIT');
say('committed', get('committed'), one('SELECT x FROM plain'));
try {
    rows(PUT, 'text', 1);
} catch (Exception $e) {
    preg_match('/UNIQUE constraint failed: kv\.key/', $e->getMessage(), $m);
    say('duplicate', ...$m);
}
say('keys', ...array_column(rows('SELECT key FROM kv ORDER BY key'), 0));
$db->close();
$db = open_db('scenario.db');
say('reopen', get('text'));
say('reopen-binary', $same());
exec('./second', $lines, $code);
say('second-process', $code);
say('second-wrote', get('second'));
say('check', one("SELECT nadb_check('kv')"));
