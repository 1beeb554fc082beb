<?php
// NadbTagsTest.php - PHP's cache integration tests, tags of PSR-6, over an nadb table.
// NADB_WORK is a folder.
require_once 'Cache/IntegrationTests/autoload.php';
require_once __DIR__ . '/Nadb.php';

class NadbTagsTest extends Cache\IntegrationTests\TaggableCachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(getenv('NADB_WORK') . '/cache.db');
    }

    // PHPUnit 11 wants this list from a static function, and the suite of Debian 13
    // has it from another.
    public static function invalidTags(): array
    {
        return (new self('invalidTags'))->invalidKeys();
    }

    /** @dataProvider invalidTags */
    public function testTagAccessorWithInvalidTag($tag)
    {
        parent::testTagAccessorWithInvalidTag($tag);
    }
}
