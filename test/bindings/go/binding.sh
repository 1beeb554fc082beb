language=go extension=go
# Debian's packages; the system's SQLite, as theirs has no other.
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-tags=libsqlite3
export GOCACHE=$root/build/go-cache
needs() {
    need $(packages_of go) gcc libc6-dev
    because "no go" go version || return
    because "no go-sqlite3" test -d $GOPATH/src/github.com/mattn/go-sqlite3
}
# ccache has no place here: go keeps its own.
build() {
    mkdir -p page scenario
    cp block1.go page
    sed 's/^func main(/func pageMain(/' block1.go >scenario/page.go
    cp "$source/scenario.go" scenario
    (cd page && CC=gcc go build -o ../page.bin .) &&
        (cd scenario && CC=gcc go build -o ../scenario.bin .)
}
run_page() { "$blocks/page.bin"; }
run_scenario() { "$blocks/scenario.bin" "$@"; }
