-- One row: how many responses the recipe chose. $recipe names the recipe.
SELECT count(*) AS chosen
FROM selected_subset
WHERE recipe = $recipe
