<?php
// NadbTest.php - PHP's cache integration tests over nadb tables. NADB_WORK is a
// folder.
require_once 'Cache/IntegrationTests/autoload.php';
require_once 'Psr/SimpleCache/autoload.php';
require_once __DIR__ . '/Nadb.php';

function nadb_file(): string
{
    return getenv('NADB_WORK') . '/cache.db';
}

class NadbPoolTest extends Cache\IntegrationTests\CachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(nadb_file());
    }
}

class NadbTagsTest extends Cache\IntegrationTests\TaggableCachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(nadb_file());
    }
}

class NadbPathsTest extends Cache\IntegrationTests\HierarchicalCachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(nadb_file());
    }
}

class NadbSimpleTest extends Cache\IntegrationTests\SimpleCacheTest
{
    public function createSimpleCache()
    {
        return new NadbSimpleCache(nadb_file());
    }
}

class NadbTest
{
    public static function suite(): PHPUnit\Framework\TestSuite
    {
        $suite = new PHPUnit\Framework\TestSuite('nadb');
        $suite->addTestSuite(NadbPoolTest::class);
        $suite->addTestSuite(NadbTagsTest::class);
        $suite->addTestSuite(NadbPathsTest::class);
        $suite->addTestSuite(NadbSimpleTest::class);
        return $suite;
    }
}
