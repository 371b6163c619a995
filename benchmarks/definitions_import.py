"""Import time of `definitions` compared with `dagster`: paired runs in new processes.

PRECEPTOR_STUDY=studies/… python benchmarks/definitions_import.py [--runs 9]
"""

import argparse
import statistics
import subprocess
import sys
import time


def seconds(statement: str) -> float:
    """Wall time of a new interpreter that runs one statement."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a Markdown table with the median of paired ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    pairs = [(seconds("import definitions"), seconds("import dagster")) for _ in range(runs + 1)][1:]
    ours, peer = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print("| import definitions, s | import dagster, s | ratio (median of pairs) |")
    print("| --- | --- | --- |")
    print(f"| {ours:.2f} | {peer:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
