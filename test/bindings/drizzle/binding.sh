. "$root/test/bindings/node/binding.sh"
needs() {
    npm_need better-sqlite3@12 drizzle-orm@0 kysely@0
    because "no better-sqlite3 that works with $(node --version)" node -e \
        "require('drizzle-orm'); new (require('better-sqlite3'))(':memory:')"
}
unset -f run_scenario # that of node: the connection is the same
