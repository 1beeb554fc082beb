# The scenario through Perl's DBI and DBD::SQLite.
use utf8;
use strict;
use warnings;
use DBI qw(:sql_types);
do "$ENV{BLOCKS}/block1.pl"; # the page's db_connect
die $@ if $@;
binmode(STDOUT, ':utf8');
$| = 1;
$, = ' ';
$\ = "\n";

my $text = 'Grüße, 世界 😀';
my $db = db_connect('scenario.db');

sub one { my ($sql, @args) = @_; $db->selectrow_array($sql, undef, @args) }
sub get { one("SELECT " . ($_[1] || 'value') . " FROM kv WHERE key = ?", $_[0]) }
sub put { $db->do('INSERT INTO kv(key, value) VALUES(?, ?)', undef, @_) }

if (@ARGV) {
    put('second', 2);
    print 'second-reads', scalar get('text');
    exit;
}
print '# Perl', $^V . ', DBD::SQLite', $DBD::SQLite::VERSION . ', SQLite',
    $db->{sqlite_version};
open(my $f, '<:raw', 'binary') or die;
my $binary = do { local $/; <$f> };
sub same { scalar(get('binary')) eq $binary ? 'same' : 'different' }

$db->do('CREATE VIRTUAL TABLE kv USING nadb');
$db->do('CREATE TABLE plain(x)');
$db->begin_work;
put('text', $text);
my $insert = $db->prepare('INSERT INTO kv(key, value) VALUES(?, ?)');
$insert->bind_param(1, 'binary');
$insert->bind_param(2, $binary, SQL_BLOB);
$insert->execute;
put('integer', 42);
put('real', 1.5);
$insert->bind_param(1, 'big');
$insert->bind_param(2, 9007199254740993, SQL_INTEGER);
$insert->execute;
put('null', undef);
put(5, 'five');
$db->do('INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)', undef,
    'tagged', 1, '["b", "a"]', 3600);
$db->commit;
print 'text', scalar get('text');
print 'binary', same();
print 'binary-type', get('binary', 'typeof(value), size');
print 'integer', scalar get('integer');
print 'real', scalar get('real');
print 'big', get('big', 'value, typeof(value)');
print 'null', defined(scalar get('null')) ? 'no'
    : scalar get('null', 'typeof(value)');
print 'missing', scalar @{ $db->selectall_arrayref(
    'SELECT 1 FROM kv WHERE key = ?', undef, 'nosuch') };
print 'tags', scalar get('tagged', 'tags');
print 'tag', one('SELECT key FROM kv WHERE tag = ? AND tag = ?', 'a', 'b');
print 'match', one('SELECT key FROM kv WHERE tags MATCH ?', 'a NOT c');
print 'ttl', scalar get('tagged', 'ttl > 3500 AND ttl <= 3600');
print 'number-key', get(5, 'key, value');
my @incr = (q{SELECT nadb_incr('kv', ?, ?)}, 'n', 2);
print 'incr', one(@incr), one(@incr);
print 'pop', one(q{SELECT nadb_pop('kv', ?)}, 'n');
$db->do('INSERT INTO kv(key, ttl) VALUES(?, ?)', undef, 'brief', 0.05);
select(undef, undef, undef, 0.005) while get('brief', '1');
print 'expired', one('SELECT count(*) FROM kv WHERE key = ?', 'brief');
my $tagged = q{SELECT count(*) FROM kv WHERE tag = 'a'};
$db->begin_work;
$db->do('REPLACE INTO kv(key, value) VALUES(?, ?)', undef, 'text', 'lost');
put('lost', 1);
$db->do('INSERT INTO plain VALUES(1)');
$db->do('UPDATE kv SET tags = NULL WHERE tag = ?', undef, 'a');
print 'inside', get('text'), one($tagged);
$db->rollback;
print 'rolled-back', scalar get('text');
print 'rolled-back-rows', one(q{SELECT count(*) FROM kv WHERE key = 'lost'}),
    one('SELECT count(*) FROM plain'), one($tagged);
$db->begin_work;
put('committed', 1);
$db->do('INSERT INTO plain VALUES(1)');
$db->commit;
print 'committed', get('committed'), one('SELECT x FROM plain');
eval { put('text', 1) };
print 'duplicate', $@ =~ /(UNIQUE constraint failed: kv\.key)/;
print 'keys', @{ $db->selectcol_arrayref('SELECT key FROM kv ORDER BY key') };
$insert->finish;
$db->disconnect;
$db = db_connect('scenario.db');
print 'reopen', scalar get('text');
print 'reopen-binary', same();
print 'second-process', system('./second');
print 'second-wrote', scalar get('second');
print 'check', one(q{SELECT nadb_check('kv')});
$db->disconnect;
