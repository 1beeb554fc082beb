. "$root/test/bindings/python/binding.sh"
needs() {
    need python3 python3-django
    because "no django in /usr/bin/python3" /usr/bin/python3 -c "import django"
}
extra() { run_orm; }
# A Django project has its settings elsewhere.
run_page() {
    { cat <<'END'; cat "$blocks/page.py"; } >page.py
import django
from django.conf import settings
settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}})
django.setup()
END
    /usr/bin/python3 page.py
}
