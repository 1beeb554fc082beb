# nadb, a key-value store as a virtual table of SQLite.
#
#     require "sqlite3"
#     require "nadb"
#     db = SQLite3::Database.new("app.db")
#     Nadb.load(db)               # each connection that uses its tables
#     db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb")
module Nadb
  class << self
    # The path of the library, for programs that load it by themselves.
    def loadable_path
      File.expand_path("nadb/nadb.so", __dir__)
    end

    # Named so, the module itself is an extension for SQLite3::Database.new(..,
    # extensions: [Nadb]), from version 2.4 of the gem sqlite3 on.
    alias to_path loadable_path

    # Loads nadb into a connection of the gem sqlite3, or of ActiveRecord.
    #
    # Loading extensions is switched off again afterwards.
    def load(db)
      db = db.raw_connection if db.respond_to?(:raw_connection)
      db.enable_load_extension(true)
      db.load_extension(loadable_path)
      db
    ensure
      db.enable_load_extension(false) if db.respond_to?(:enable_load_extension)
    end
  end
end
