-- One row: the number of responses that the recipe chose, and their teachers. $recipe names the recipe.
SELECT
    count(*) AS chosen,
    coalesce(list(DISTINCT teacher ORDER BY teacher), []) AS teachers
FROM selected_subset
WHERE recipe = $recipe
