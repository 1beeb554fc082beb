page=dbix-class
. "$root/test/bindings/perl/binding.sh"
needs() {
    need $(packages_of dbix-class)
    because "no DBIx::Class" perl -MDBIx::Class -MDBD::SQLite -e 1
}
unset -f run_scenario # that of perl: the connection is the same
