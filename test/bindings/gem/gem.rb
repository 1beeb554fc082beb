# gem.rb - what the gem nadb offers beside Nadb.load.
require "sqlite3"
require "nadb"

def check(name, got, expected)
  if got == expected
    puts "ok #{name}"
  else
    puts "not ok #{name}: got #{got.inspect}, expected #{expected.inspect}"
  end
end

spec = Gem.loaded_specs["nadb"]
db = SQLite3::Database.new(":memory:")
check "path", File.exist?(Nadb.loadable_path), true
check "path-in-gem", Nadb.loadable_path.start_with?(spec.gem_dir), true
check "to_path", File.path(Nadb), Nadb.loadable_path
check "load-returns", Nadb.load(db).equal?(db), true
check "load-again", Nadb.load(db).equal?(db), true
check "version", db.get_first_value("SELECT nadb_version()"), spec.version.to_s
begin
  db.load_extension(Nadb.loadable_path)
  check "switched-off", "loaded", "not authorized"
rescue StandardError => e
  check "switched-off", e.message, "not authorized"
end
if Gem::Version.new(SQLite3::VERSION) >= Gem::Version.new("2.4")
  db = SQLite3::Database.new(":memory:", extensions: [Nadb])
  check "extensions", db.get_first_value("SELECT nadb_version()"),
        spec.version.to_s
end
begin
  require "active_record"
  ActiveRecord::Base.establish_connection(adapter: "sqlite3",
                                          database: ":memory:")
  Nadb.load(ActiveRecord::Base.connection)
  check "active_record", ActiveRecord::Base.connection.select_value(
    "SELECT nadb_version()"), spec.version.to_s
rescue LoadError
  puts "(no ActiveRecord)"
end
