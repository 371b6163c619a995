-- One row: the study's number of instructions.
SELECT count(*) AS instructions
FROM raw_instructions
