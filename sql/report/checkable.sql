-- One row: the number of instructions with a right answer that a response can be checked against.
SELECT count(*) AS checkable
FROM raw_instructions
WHERE answer IS NOT NULL AND "check" IS NOT NULL
