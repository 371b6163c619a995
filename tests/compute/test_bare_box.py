"""A GPU machine with only torch and transformers can score."""

import subprocess
import sys

PROGRAM = """
import sys
for name in ("polars", "pyarrow", "deltalake", "duckdb", "pydantic", "dagster", "datasets"):
    sys.modules[name] = None  # importing it now fails
import preceptor.compute.generation, preceptor.compute.loss, preceptor.compute.reward
print(preceptor.compute.loss.LossScorer.__name__)
"""


def test_scoring_imports_only_torch_and_transformers():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "LossScorer"
