# Sequel, without its models.
VERSION = "Ruby #{RUBY_VERSION}, Sequel #{Sequel::VERSION}"
Duplicate = Sequel::UniqueConstraintViolation
Rollback = Sequel::Rollback
$db = open_db("scenario.db")

def blob(bytes) = Sequel.blob(bytes)

def rows(sql, *args)
  return $db[sql, *args].map(&:values) if sql.start_with?("SELECT")
  $db[sql, *args].update
  []
end

def transaction(&block) = $db.transaction(&block)

def reopen
  $db.disconnect
end
