. "$root/test/bindings/node/binding.sh"
needs() {
    npm_need better-sqlite3@12 knex@3
    because "no better-sqlite3 that works with $(node --version)" \
        node -e "require('knex'); new (require('better-sqlite3'))(':memory:')"
}
