language=perl extension=pl
needs() {
    need $(packages_of perl)
    because "no DBD::SQLite" perl -MDBD::SQLite -e 1
}
run_page() { perl "$blocks/page.pl"; }
run_scenario() { perl "$source/scenario.pl" "$@"; }
