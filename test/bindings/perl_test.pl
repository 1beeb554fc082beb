# perl_test.pl - nadb from Perl's DBI and DBD::SQLite (bindings.test).
#
# usage: perl_test.pl library folder
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use DBD::SQLite;

binmode(STDOUT, ':utf8');
$| = 1;
my ($lib, $folder, $second) = @ARGV;
my $path = "$folder/perl.db";

sub check {
    my ($name, $got, $expected) = @_;
    $got = '(undef)' unless defined $got;
    if ($got eq $expected) {
        print "ok $name\n";
    } else {
        printf "not ok %s: got %.200s, expected %.200s\n", $name, $got,
            $expected;
    }
}

sub connect_db {
    my $db = DBI->connect("dbi:SQLite:dbname=$path", '', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1,
          sqlite_unicode => 1 });
    $db->sqlite_enable_load_extension(1);
    $db->sqlite_load_extension($lib);
    return $db;
}

my $db = connect_db();

sub get {
    my ($key, $column) = @_;
    $column ||= 'value';
    return $db->selectrow_array("SELECT $column FROM kv WHERE key = ?",
        undef, $key);
}

if ($second) {
    $db->do("INSERT INTO kv(key, value) VALUES('second', 2)");
    print get('text'), "\n";
    $db->disconnect;
    exit 0;
}

$db->do('CREATE VIRTUAL TABLE kv USING nadb');
my $text = "Grüße, 世界";
my $binary = join('', map { chr($_ % 251) } 1 .. 524288) . ("\0" x 524288);
$db->do('INSERT INTO kv(key, value) VALUES(?, ?)', undef, 'text', $text);
my $insert = $db->prepare('INSERT INTO kv(key, value) VALUES(?, ?)');
$insert->bind_param(1, 'binary');
$insert->bind_param(2, $binary, SQL_BLOB);
$insert->execute;
$db->do("INSERT INTO kv(key, value, tags, ttl)
         VALUES('tagged', 1.5, '[\"b\", \"a\"]', 3600)");

check('text', get('text'), $text);
check('binary', get('binary') eq $binary ? 'same' : 'different', 'same');
check('binary-type', get('binary', 'typeof(value)'), 'blob');
check('tags', get('tagged', 'tags'), '["a","b"]');
check('ttl', (get('tagged', 'ttl') > 3500 ? 1 : 0), 1);
check('missing', scalar(get('nosuch')), '(undef)');

$db->begin_work;
$db->do("REPLACE INTO kv(key, value) VALUES('text', 'lost')");
$db->do("INSERT INTO kv(key) VALUES('lost')");
check('inside', get('text'), 'lost');
$db->rollback;
check('rolled-back', get('text'), $text);
check('rolled-back-insert', scalar(get('lost')), '(undef)');

eval { $db->do("INSERT INTO kv(key) VALUES('text')") };
check('duplicate', ($@ =~ /UNIQUE constraint failed: kv\.key/ ? 1 : 0), 1);
check('keys', join(' ', @{ $db->selectcol_arrayref(
    'SELECT key FROM kv ORDER BY key') }), 'binary tagged text');

$insert->finish;
$db->disconnect;
$db = connect_db();
check('reopen', get('text'), $text);
check('reopen-binary', get('binary') eq $binary ? 'same' : 'different', 'same');

open(my $child, '-|:utf8', $^X, $0, $lib, $folder, 'second') or die $!;
my $line = <$child>;
close($child);
chomp $line if defined $line;
check('second-process', $line, $text);
check('second-process-end', $?, 0);
check('second-process-wrote', get('second'), 2);

# Tags and expiry, with bound parameters.
$db->do('CREATE VIRTUAL TABLE jobs USING nadb');
$db->begin_work;
my $job = $db->prepare(
    'INSERT INTO jobs(key, value, tags, ttl) VALUES(?, ?, ?, ?)');
for my $i (0 .. 99) {
    my $tags = join('", "', 'all', 'm' . $i % 3, $i % 10 ? () : ('ten'));
    $job->execute(sprintf('job:%03d', $i), $i, "[\"$tags\"]",
        $i % 2 ? 3600 : undef);
}
$job->execute('brief', undef, '["brief", "all"]', 0.02);
$job->finish;
sub keys_of { return join(' ', @{ $db->selectcol_arrayref(shift, undef, @_) }) }
check('match-inside', keys_of('SELECT key FROM jobs WHERE tags MATCH ?
    AND key > ? ORDER BY key LIMIT 3', 'ten NOT m0', 'job:010'),
    'job:020 job:040 job:050');
$db->commit;
while (keys_of('SELECT count(*) FROM jobs WHERE tag = ?', 'brief') > 0) {
    select(undef, undef, undef, 0.005);
}
check('expired', keys_of("SELECT tag || '=' || count FROM nadb_tags('jobs')
    WHERE tag IN (?, ?)", 'all', 'brief'), 'all=100');
check('both-tags', keys_of('SELECT count(*) FROM jobs
    WHERE tag = ? AND tag = ?', 'ten', 'm0'), 4);
check('functions', join('|', map { defined $_ ? $_ : '' }
    $db->selectrow_array("SELECT nadb_tag('jobs', ?, ?, ?),
        nadb_untag('jobs', ?, ?), nadb_tags('jobs', ?),
        nadb_set_ttl('jobs', ?, NULL), nadb_ttl('jobs', ?),
        nadb_pop('jobs', ?)", undef, 'job:001', 'x', 'ü', 'job:001', 'all',
        ('job:001') x 3, 'job:002')), '2|1|["m1","x","ü"]|1||2');
$db->begin_work;
$db->do('UPDATE jobs SET tags = NULL WHERE tags MATCH ?', undef, 'm0 OR m1');
$db->do('DELETE FROM jobs WHERE tag = ?', undef, 'm2');
check('all-changed', keys_of("SELECT count(*) FROM nadb_tags('jobs')"), 0);
$db->rollback;
check('tags-rolled-back',
    keys_of("SELECT tag || '=' || count FROM nadb_tags('jobs')"),
    'all=98 m0=34 m1=33 m2=32 ten=10 x=1 ü=1');
check('check', keys_of("SELECT nadb_check('jobs')"), 'ok');
$db->disconnect;
