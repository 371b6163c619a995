-- A row is one recipe's chosen rows: how many, and of how many teachers.
SELECT
    recipe,
    count(*) AS rows,
    count(DISTINCT teacher) AS teachers
FROM selected_subset
GROUP BY recipe
ORDER BY recipe
