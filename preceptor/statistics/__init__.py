"""General statistics: intervals, resampling, ranks, tests and correlations.

Suitability, evaluation and report share them. Formulas of one benchmark (Arena-Hard's fit, AlpacaEval's
length control) stay with the benchmark.
"""
