-- One row: how many responses the recipe chose, and whose. $recipe names the recipe.
SELECT
    count(*) AS chosen,
    coalesce(list(DISTINCT teacher ORDER BY teacher), []) AS teachers
FROM selected_subset
WHERE recipe = $recipe
