# suite.t - CHI's tests of drivers over nadb tables. NADB_LIB is the library,
# NADB_WORK a folder.
package CHI::t::Driver::Nadb;
use strict;
use warnings;
use base qw(CHI::t::Driver);

sub supports_expires_on_backend { 1 }

sub new_cache_options {
    my $self = shift;
    return ( $self->SUPER::new_cache_options(),
        dbfile => "$ENV{NADB_WORK}/chi.db", library => $ENV{NADB_LIB} );
}

__PACKAGE__->runtests;
