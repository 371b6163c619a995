"""How well each teacher suits each base: CAR, its intervals and its ranks."""
