<?php
// Nadb.php - an nadb table as a cache of PSR-6 (with tags) and of PSR-16. Results
// have types and parameters have none: so it has both interfaces of version 1
// (Debian 12) and of version 3 (Debian 13).
require_once 'Psr/Cache/autoload.php';
require_once 'Psr/SimpleCache/autoload.php';
require_once 'Cache/TagInterop/autoload.php';

use Cache\TagInterop\TaggableCacheItemInterface;
use Cache\TagInterop\TaggableCacheItemPoolInterface;
use Psr\Cache\CacheItemInterface;
use Psr\Cache\CacheItemPoolInterface;
use Psr\SimpleCache\CacheInterface;

class NadbInvalidArgument extends InvalidArgumentException implements
    Psr\Cache\InvalidArgumentException,
    Psr\SimpleCache\InvalidArgumentException
{
}

// What both have in common. PHP finds the library in sqlite3.extension_dir.
class NadbTable
{
    private SQLite3 $db;

    public function __construct(string $file)
    {
        $this->db = new SQLite3($file);
        $this->db->enableExceptions(true);
        $this->db->loadExtension('nadb.so');
        $this->sql('CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb');
    }

    public function sql(string $sql, array $values = []): SQLite3Result
    {
        $statement = $this->db->prepare($sql);
        foreach ($values as $i => $value) {
            $statement->bindValue($i + 1, $value);
        }
        return $statement->execute();
    }

    /** [key => [value, tags]] of those keys that there are. */
    public function get(array $keys): array
    {
        $rows = $this->sql('SELECT key, value, tags FROM kv WHERE key IN
            (SELECT value FROM json_each(?))', [json_encode($keys)]);
        $found = [];
        while ($row = $rows->fetchArray(SQLITE3_NUM)) {
            $found[$row[0]] = [unserialize($row[1]),
                json_decode($row[2] ?? '[]')];
        }
        return $found;
    }

    /** Rows are [key, value, tags, Unix time of expiry or null]. */
    public function put(iterable $rows): bool
    {
        $this->sql('BEGIN IMMEDIATE');
        foreach ($rows as [$key, $value, $tags, $expiry]) {
            $this->sql('INSERT OR REPLACE INTO kv(key, value, tags, expires_at)
                VALUES(?, CAST(? AS BLOB), ?, ?)',
                [$key, serialize($value), json_encode($tags), $expiry]);
        }
        $this->sql('COMMIT');
        return true;
    }

    public function delete(array $keys): bool
    {
        $this->sql('DELETE FROM kv WHERE key IN
            (SELECT value FROM json_each(?))', [json_encode($keys)]);
        return true;
    }

    public function clear(): bool
    {
        $this->sql("SELECT nadb_clear('kv')")->fetchArray();
        return true;
    }

    public static function check($key): string
    {
        if (!is_string($key) || $key === '' || strpbrk($key, '{}()/\\@:')) {
            throw new NadbInvalidArgument('not a valid key or tag');
        }
        return $key;
    }

    public static function after($ttl): ?float
    {
        if ($ttl instanceof DateInterval) {
            return (float) (new DateTime())->add($ttl)->format('U.u');
        }
        if ($ttl !== null && !is_int($ttl)) {
            throw new NadbInvalidArgument('a ttl is an int or a DateInterval');
        }
        return $ttl === null ? null : microtime(true) + $ttl;
    }
}

class NadbItem implements TaggableCacheItemInterface
{
    public array $tags = [];
    public ?float $expiry = null;

    public function __construct(private string $key, private $value = null,
        private bool $hit = false, private array $previousTags = [])
    {
    }

    public function getKey(): string
    {
        return $this->key;
    }

    public function get(): mixed
    {
        return $this->value;
    }

    public function isHit(): bool
    {
        return $this->hit;
    }

    public function set($value): static
    {
        $this->value = $value;
        return $this;
    }

    public function expiresAt($expiration): static
    {
        $this->expiry = $expiration?->getTimestamp();
        return $this;
    }

    public function expiresAfter($time): static
    {
        $this->expiry = NadbTable::after($time);
        return $this;
    }

    public function getPreviousTags(): array
    {
        return $this->previousTags;
    }

    public function setTags(array $tags): static
    {
        $this->tags = array_map([NadbTable::class, 'check'], $tags);
        return $this;
    }
}

// Debian 13's TaggableCacheItemPoolInterface cannot be loaded: it redeclares getItem
// without the types that version 3 of PSR-6 has.
if ((new ReflectionMethod(CacheItemPoolInterface::class, 'getItem'))->hasReturnType()) {
    interface NadbPoolInterface extends CacheItemPoolInterface
    {
    }
} else {
    interface NadbPoolInterface extends TaggableCacheItemPoolInterface
    {
    }
}

class NadbPool implements NadbPoolInterface
{
    private NadbTable $table;
    private array $deferred = []; // [key => item]

    public function __construct(string $file)
    {
        $this->table = new NadbTable($file);
    }

    public function __destruct()
    {
        $this->commit();
    }

    public function getItem($key): NadbItem
    {
        return $this->getItems([$key])[$key];
    }

    public function getItems(array $keys = []): array
    {
        array_walk($keys, [NadbTable::class, 'check']);
        $found = $this->table->get($keys);
        $items = [];
        foreach ($keys as $key) {
            $later = $this->deferred[$key] ?? null;
            if ($later && ($later->expiry ?? INF) > microtime(true)) {
                $items[$key] = new NadbItem($key, $later->get(), true,
                    $later->tags);
            } elseif (!$later && isset($found[$key])) {
                [$value, $tags] = $found[$key];
                $items[$key] = new NadbItem($key, $value, true, $tags);
            } else {
                $items[$key] = new NadbItem($key);
            }
        }
        return $items;
    }

    public function hasItem($key): bool
    {
        return $this->getItem($key)->isHit();
    }

    public function clear(): bool
    {
        $this->deferred = [];
        return $this->table->clear();
    }

    public function deleteItem($key): bool
    {
        return $this->deleteItems([$key]);
    }

    // A key that begins with | is a path, and goes with all that is below it.
    public function deleteItems(array $keys): bool
    {
        foreach ($keys as $key) {
            if (NadbTable::check($key)[0] === '|') {
                $this->commit();
                $path = rtrim($key, '|');
                $this->table->sql('DELETE FROM kv WHERE key >= ? AND key < ?',
                    ["$path|", "$path}"]); // } is the character after |
            }
            unset($this->deferred[$key]);
        }
        return $this->table->delete($keys);
    }

    public function save(CacheItemInterface $item): bool
    {
        unset($this->deferred[$item->getKey()]);
        return $this->table->put([$this->row($item)]);
    }

    public function saveDeferred(CacheItemInterface $item): bool
    {
        $this->deferred[$item->getKey()] = clone $item;
        return true;
    }

    public function commit(): bool
    {
        $items = array_splice($this->deferred, 0);
        return !$items || $this->table->put(array_map([$this, 'row'], $items));
    }

    public function invalidateTag($tag): bool
    {
        return $this->invalidateTags([$tag]);
    }

    public function invalidateTags(array $tags): bool
    {
        $this->commit();
        foreach ($tags as $tag) {
            $this->table->sql('DELETE FROM kv WHERE tag = ?',
                [NadbTable::check($tag)]);
        }
        return true;
    }

    private function row(NadbItem $item): array
    {
        return [$item->getKey(), $item->get(), $item->tags, $item->expiry];
    }
}

class NadbSimpleCache implements CacheInterface
{
    private NadbTable $table;

    public function __construct(string $file)
    {
        $this->table = new NadbTable($file);
    }

    public function get($key, $default = null): mixed
    {
        return $this->getMultiple([$key], $default)[$key];
    }

    public function getMultiple($keys, $default = null): array
    {
        $keys = $this->keys($keys);
        $found = array_map(fn ($row) => $row[0], $this->table->get($keys));
        return array_replace(array_fill_keys($keys, $default), $found);
    }

    public function has($key): bool
    {
        return (bool) $this->table->get($this->keys([$key]));
    }

    public function set($key, $value, $ttl = null): bool
    {
        return $this->put([[$key, $value]], $ttl);
    }

    public function setMultiple($values, $ttl = null): bool
    {
        $pairs = [];
        foreach ($this->iterable($values) as $key => $value) {
            // PHP has made an int of a key '5' of an array.
            $pairs[] = [is_int($key) ? (string) $key : $key, $value];
        }
        return $this->put($pairs, $ttl);
    }

    public function delete($key): bool
    {
        return $this->deleteMultiple([$key]);
    }

    public function deleteMultiple($keys): bool
    {
        return $this->table->delete($this->keys($keys));
    }

    public function clear(): bool
    {
        return $this->table->clear();
    }

    private function put(array $pairs, $ttl): bool
    {
        $expiry = NadbTable::after($ttl);
        return $this->table->put(array_map(fn ($pair) => [
            NadbTable::check($pair[0]), $pair[1], [], $expiry], $pairs));
    }

    private function keys($keys): array
    {
        $list = [];
        foreach ($this->iterable($keys) as $key) {
            $list[] = NadbTable::check($key);
        }
        return $list;
    }

    private function iterable($list): iterable
    {
        if (!is_iterable($list)) {
            throw new NadbInvalidArgument('neither an array nor Traversable');
        }
        return $list;
    }
}
