"""Statistics on estimates, whatever they estimate: intervals, resampling, ranks, tests and correlations.

Each stands here once. Suitability, evaluation and report use them; formulas of one benchmark (Arena-Hard's
fit, AlpacaEval's length control) stay with the benchmark.
"""
