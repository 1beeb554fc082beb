# The gem sqlite3.
VERSION = "Ruby #{RUBY_VERSION}, sqlite3 #{SQLite3::VERSION}"
Duplicate = SQLite3::ConstraintException
Rollback = Class.new(StandardError)
$db = open_db("scenario.db")

def blob(bytes) = SQLite3::Blob.new(bytes)
def rows(sql, *args) = $db.execute(sql, args)
def transaction(&block) = $db.transaction(&block)

def reopen
  $db.close
  $db = open_db("scenario.db")
end
