language=c extension=c
needs() {
    need $(packages_of c)
    because "no C compiler, or no sqlite3.h" sh -c 'echo "#include <sqlite3.h>" |
        ${CC:-cc} -E -'
}
# compile OUTPUT SOURCE [MORE..]
compile() {
    # shellcheck disable=SC2086 # CC may be several words
    ${CC:-cc} -Wall -Wextra -Werror -O1 -I"$blocks" -o "$@" -lsqlite3
}
build() {
    compile page page.c && compile scenario "$source/scenario.c"
}
run_page() { "$blocks/page"; }
run_scenario() { "$blocks/scenario" "$@"; }
