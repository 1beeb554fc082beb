language=r extension=R
needs() {
    need $(packages_of r)
    because "no RSQLite in Rscript" Rscript -e 'library(RSQLite); library(bit64)'
}
run_page() { Rscript --vanilla "$blocks/page.R"; }
run_scenario() { Rscript --vanilla "$source/scenario.R" "$@"; }
