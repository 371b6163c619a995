-- One row: how many instructions have a right answer that a response can be held against.
SELECT count(*) AS checkable
FROM raw_instructions
WHERE answer IS NOT NULL AND "check" IS NOT NULL
