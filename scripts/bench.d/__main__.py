"""The command line of scripts/bench: which rows, how often; everything about a row is in rows/."""

import argparse
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

import machine
import table
from bench import Bench, Failed

ROWS = sorted(path.stem for path in (Path(__file__).parent / "rows").glob("[a-z]*.py"))


def say(text):
    print(f"scripts/bench: {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures uarttool beside other programs, by turns.",
        epilog="Examples: scripts/bench; scripts/bench replay --quick; scripts/bench --list",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure; without, every row")
    parser.add_argument("--list", action="store_true", help="list the rows and what they need")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each program; default: 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="shorter input: a first idea within three minutes")
    parser.add_argument("--no-pin", action="store_true", help="let the system choose the processors")
    parser.add_argument("--json", metavar="FILE", help="write every measured value to FILE, - is stdout")
    chosen = parser.parse_args()
    for name in chosen.rows:
        if name not in ROWS:
            parser.error(f"there is no row {name!r}; there are: {', '.join(ROWS)}")
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error(f"--rounds {chosen.rounds}: at least one round")
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 5)
    return chosen


def load(name):
    return importlib.import_module(f"rows.{name}")


def first_line(module):
    return module.__doc__.strip().splitlines()[0]


def measured(name, row, chosen):
    """The results of one row: by turns, each contender once a round."""
    with tempfile.TemporaryDirectory(prefix="uarttool-bench-") as folder:
        bench = Bench(Path(folder), chosen.quick, not chosen.no_pin)
        before, values = machine.Busy(), {}
        try:
            contenders = row.contenders(bench)
            for number in range(chosen.rounds):
                for contender, run in contenders.items():
                    say(f"{name}: round {number + 1} of {chosen.rounds}, {contender}")
                    for key, value in run().items():
                        values.setdefault(key, {}).setdefault(contender, []).append(value)
        finally:
            bench.close()
        # Only now: the processors' time of our programs is known when they have ended.
        return table.Result(name, row, list(contenders), values, chosen, bench, before.until_now())


def main():
    chosen = arguments()
    names = chosen.rows or ROWS
    if chosen.list:
        for name in ROWS:
            row = load(name)
            print(f"{name:<10} {first_line(row)} (needs {', '.join([*row.TOOLS, *(['root'] if row.ROOT else [])])})")
        return 0
    rows = {name: load(name) for name in names}
    # All at the start: a row may leave the network behind.
    machine.install({tool: package for row in rows.values() for tool, package in row.TOOLS.items()}, say)
    skipped = {name: lack for name, row in rows.items() if (lack := machine.lacks(row.TOOLS, row.ROOT))}
    results, failures = [], []
    if len(skipped) < len(rows):
        try:
            machine.build(say)
        except Failed as failed:
            say(failed)
            return 3
    for name, row in rows.items():
        if name in skipped:
            continue
        try:
            results.append(measured(name, row, chosen))
            print(results[-1].text(), flush=True)
        except Failed as failed:
            say(f"{name} failed: {failed}")
            failures.append(name)
    for name, lack in skipped.items():
        print(f"{name}: SKIPPED, needs {lack}")
    if chosen.json:
        text = json.dumps(table.document(results, skipped, failures), indent=1) + "\n"
        if chosen.json == "-":
            sys.stdout.write(text)
        else:
            Path(chosen.json).write_text(text)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(0)
