"""What the tests of Python programs print for run.sh and the harness."""
failed = False


def check(name, got, expected):
    global failed
    if got == expected:
        print("ok", name)
    else:
        failed = True
        print(f"not ok {name}: got {got!r}, expected {expected!r}")


def finish():
    raise SystemExit(1 if failed else 0)
