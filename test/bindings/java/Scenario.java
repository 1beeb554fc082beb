// Scenario.java - the scenario through sqlite-jdbc.
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

class Scenario {
    static final String TEXT = "Grüße, 世界 😀";
    static final String PUT = "INSERT INTO kv(key, value) VALUES(?, ?)";
    static final NadbDataSource source = new NadbDataSource("scenario.db");
    static PrintStream out;
    static Connection db;

    static List<Object[]> rows(String sql, Object... args) throws SQLException {
        List<Object[]> found = new ArrayList<>();
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            for (int i = 0; i < args.length; i++) {
                statement.setObject(i + 1, args[i]);
            }
            if (!statement.execute()) return found;
            try (ResultSet rows = statement.getResultSet()) {
                int n = rows.getMetaData().getColumnCount();
                while (rows.next()) {
                    Object[] row = new Object[n];
                    for (int i = 0; i < n; i++) row[i] = rows.getObject(i + 1);
                    found.add(row);
                }
            }
        }
        return found;
    }

    static Object one(String sql, Object... args) throws SQLException {
        List<Object[]> found = rows(sql, args);
        return found.isEmpty() ? null : found.get(0)[0];
    }

    static Object get(Object key, String column) throws SQLException {
        return one("SELECT " + column + " FROM kv WHERE key = ?", key);
    }

    static Object get(Object key) throws SQLException {
        return get(key, "value");
    }

    static void say(Object... words) {
        List<String> texts = new ArrayList<>();
        for (Object word : words) texts.add(String.valueOf(word));
        out.println(String.join(" ", texts));
        out.flush();
    }

    static String same(byte[] binary) throws SQLException {
        return Arrays.equals((byte[]) get("binary"), binary) ? "same" : "different";
    }

    static void create(byte[] binary) throws SQLException {
        rows("CREATE VIRTUAL TABLE kv USING nadb");
        rows("CREATE TABLE plain(x)");
        db.setAutoCommit(false);
        Object[][] pairs = {{"text", TEXT}, {"binary", binary}, {"integer", 42},
            {"real", 1.5}, {"big", 9007199254740993L}, {"null", null}, {5, "five"}};
        for (Object[] pair : pairs) rows(PUT, pair);
        rows("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
            "tagged", 1, "[\"b\", \"a\"]", 3600);
        db.commit();
        db.setAutoCommit(true);
    }

    static void read(byte[] binary) throws SQLException {
        say("text", get("text"));
        say("binary", same(binary));
        say("binary-type", get("binary", "typeof(value)"), get("binary", "size"));
        say("integer", get("integer"));
        say("real", get("real"));
        say("big", get("big"), get("big", "typeof(value)"));
        say("null", get("null") == null ? get("null", "typeof(value)") : "no");
        say("missing", rows("SELECT 1 FROM kv WHERE key = ?", "nosuch").size());
        say("tags", get("tagged", "tags"));
        say("tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b"));
        say("match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c"));
        say("ttl", get("tagged", "ttl > 3500 AND ttl <= 3600"));
        say("number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5));
    }

    static void functions() throws Exception {
        String incr = "SELECT nadb_incr('kv', ?, ?)";
        say("incr", one(incr, "n", 2), one(incr, "n", 2));
        say("pop", one("SELECT nadb_pop('kv', ?)", "n"));
        rows("INSERT INTO kv(key, ttl) VALUES(?, ?)", "brief", 0.05);
        while (get("brief", "1") != null) Thread.sleep(5);
        say("expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief"));
    }

    static void transactions() throws SQLException {
        String tagged = "SELECT count(*) FROM kv WHERE tag = 'a'";
        db.setAutoCommit(false);
        rows("REPLACE INTO kv(key, value) VALUES(?, ?)", "text", "lost");
        rows(PUT, "lost", 1);
        rows("INSERT INTO plain VALUES(1)");
        rows("UPDATE kv SET tags = NULL WHERE tag = ?", "a");
        say("inside", get("text"), one(tagged));
        db.rollback();
        say("rolled-back", get("text"));
        say("rolled-back-rows", one("SELECT count(*) FROM kv WHERE key = 'lost'"),
            one("SELECT count(*) FROM plain"), one(tagged));
        db.commit();
        rows(PUT, "committed", 1);
        rows("INSERT INTO plain VALUES(1)");
        db.commit();
        db.setAutoCommit(true);
        say("committed", get("committed"), one("SELECT x FROM plain"));
        try {
            rows(PUT, "text", 1);
        } catch (SQLException e) {
            String words = "UNIQUE constraint failed: kv.key";
            say("duplicate", e.getMessage().contains(words) ? words : e.getMessage());
        }
        List<Object> keys = new ArrayList<>(List.of("keys"));
        for (Object[] row : rows("SELECT key FROM kv ORDER BY key")) keys.add(row[0]);
        say(keys.toArray());
    }

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, true, "UTF-8");
        db = source.getConnection();
        if (args.length > 0) {
            rows(PUT, "second", 2);
            say("second-reads", get("text"));
            db.close();
            return;
        }
        say("# Java", System.getProperty("java.version") + ", sqlite-jdbc",
            db.getMetaData().getDriverVersion() + ", SQLite",
            one("SELECT sqlite_version()"));
        byte[] binary = Files.readAllBytes(Path.of("binary"));
        create(binary);
        read(binary);
        functions();
        transactions();
        db.close();
        db = source.getConnection();
        say("reopen", get("text"));
        say("reopen-binary", same(binary));
        say("second-process", new ProcessBuilder("./second").start().waitFor());
        say("second-wrote", get("second"));
        say("check", one("SELECT nadb_check('kv')"));
        db.close();
    }
}
