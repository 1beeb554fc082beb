. "$root/test/bindings/node/binding.sh"
needs() {
    npm_need better-sqlite3@12 typeorm@1 reflect-metadata@0
    because "no better-sqlite3 that works with $(node --version)" \
        node -e "require('typeorm'); new (require('better-sqlite3'))(':memory:')"
}
