language=perl extension=pl
needs() {
    need perl libdbd-sqlite3-perl
    because "no DBD::SQLite" perl -MDBD::SQLite -e 1
}
run_page() { perl "$blocks/page.pl"; }
run_scenario() { perl "$source/scenario.pl" "$@"; }
