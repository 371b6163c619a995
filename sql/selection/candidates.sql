-- A row is a usable response that a recipe may choose: by default none that was cut at the limit of tokens.
-- Where a recording does not say how a response ended, it counts as whole.
SELECT * EXCLUDE (finish_reason)
FROM usable
WHERE $cut_responses = 'keep' OR finish_reason IS DISTINCT FROM 'length'
