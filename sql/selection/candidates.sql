-- A row is a usable response that a recipe may choose. By default responses cut at the token limit are left out.
-- A response counts as complete if its recording does not say how it ended.
SELECT * EXCLUDE (finish_reason)
FROM usable
WHERE $cut_responses = 'keep' OR finish_reason IS DISTINCT FROM 'length'
