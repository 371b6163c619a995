-- A row is how many instructions the study has: there is one.
SELECT count(*) AS instructions
FROM raw_instructions
