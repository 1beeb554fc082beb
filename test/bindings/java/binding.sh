language=java extension=java
classes=/usr/share/java/sqlite-jdbc.jar:/usr/share/java/slf4j-api.jar
needs() {
    need $(packages_of java)
    because "no javac" javac -version || return
    because "no sqlite-jdbc.jar" test -e "${classes%%:*}"
}
build() {
    cp block1.java Main.java
    cp "$source/Scenario.java" .
    javac -encoding UTF-8 -cp "$classes" Main.java Scenario.java
}
java_run() {
    java -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 \
        -cp "$blocks:$classes" "$@" 2> >(grep -v -i slf4j >&2)
}
run_page() { java_run Main; }
run_scenario() { java_run Scenario "$@"; }
