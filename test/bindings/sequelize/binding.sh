. "$root/test/bindings/node/binding.sh"
needs() {
    npm_need sqlite3@5 sequelize@6
    because "no sqlite3 that works with $(node --version)" \
        node -e "require('sequelize'); new (require('sqlite3').Database)(':memory:')"
}
