# Nadb.pm - nadb tables as a driver of CHI: a table for each namespace.
package CHI::Driver::Nadb;
use strict;
use warnings;
use DBI qw(:sql_types);
use Moo;
extends 'CHI::Driver';

has dbfile  => ( is => 'ro', required => 1 );
has library => ( is => 'ro', required => 1 );
has dbh     => ( is => 'lazy' );
has table   => ( is => 'lazy' );

sub _build_dbh {
    my ($self) = @_;
    my $dbh = DBI->connect( 'dbi:SQLite:dbname=' . $self->dbfile, '', '',
        { RaiseError => 1, PrintError => 0, AutoInactiveDestroy => 1 } );
    $dbh->sqlite_enable_load_extension(1);
    $dbh->sqlite_load_extension( $self->library );
    return $dbh;
}

sub _build_table {
    my ($self) = @_;
    my $table = $self->dbh->quote_identifier( $self->namespace );
    $self->dbh->do("CREATE VIRTUAL TABLE IF NOT EXISTS $table USING nadb");
    return $table;
}

# Runs a statement with keys and data as the bytes that they are.
sub run {
    my ( $self, $sql, @values ) = @_;
    my $table = $self->table;
    my $sth = $self->dbh->prepare_cached( $sql =~ s/TABLE/$table/r );
    my $n = 0;
    $sth->bind_param( ++$n, $_, SQL_BLOB ) for @values;
    $sth->execute;
    return $sth;
}

sub column {
    my ( $self, @statement ) = @_;
    return @{ $self->dbh->selectcol_arrayref( $self->run(@statement) ) };
}

sub fetch {
    my ( $self, $key ) = @_;
    my ($data) = $self->column( 'SELECT value FROM TABLE WHERE key = ?', $key );
    return $data;
}

# With expires_on_backend, CHI says in how many seconds.
sub store {
    my ( $self, $key, $data, $ttl ) = @_;
    $self->run( 'INSERT OR REPLACE INTO TABLE(key, value, ttl)
        VALUES(?, ?, CAST(? AS REAL))', $key, $data, $ttl );
    return;
}

sub remove {
    my ( $self, $key ) = @_;
    $self->run( 'DELETE FROM TABLE WHERE key = ?', $key );
    return;
}

sub clear {
    my ($self) = @_;
    $self->run('DELETE FROM TABLE');
    return;
}

sub get_keys {
    my ($self) = @_;
    return $self->column('SELECT key FROM TABLE');
}

sub get_namespaces {
    my ($self) = @_;
    return $self->column(
        "SELECT name FROM sqlite_schema WHERE sql LIKE '% USING nadb'");
}

1;
