"""openmetrics_test.py METRICS DASHBOARD - whether a strict parser takes the
text of nadb_openmetrics(), and the dashboard names nothing that is not in it.

Prints "ok NAME" and "not ok NAME: what happened" for each test, as
run_program of the harness reads it. The parser is that of Debian's package
python3-prometheus-client.
"""
import json
import re
import sys

from prometheus_client.openmetrics import parser


def check(name, problem):
    print(f"not ok {name}: {problem}" if problem else f"ok {name}")


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read()
    try:
        families = list(parser.text_string_to_metric_families(text))
    except ValueError as e:
        check("parse", e)
        return
    check("parse", None)
    samples = {s.name for family in families for s in family.samples}
    check("families", None if len(families) > 20 else families)
    doubtful = [s for family in families for s in family.samples
                if s.value != s.value]
    check("numbers", doubtful)
    paths = {s.labels.get("path") for family in families
             for s in family.samples}
    check("labels", None if 'a "b"\\c\nd' in {str(p)[-9:] for p in paths}
          else sorted(map(str, paths)))
    with open(sys.argv[2], encoding="utf-8") as f:
        dashboard = json.load(f)
    exprs = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    exprs += [v["query"] for v in dashboard["templating"]["list"]]
    named = {n for e in exprs for n in re.findall(r"\bnadb_\w+", e)}
    check("dashboard", sorted(named - samples) or
          (None if len(named) > 10 else "it names hardly anything"))


main()
