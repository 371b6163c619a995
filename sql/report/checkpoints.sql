-- A row is one of the study's runs, with its tuned model if there is one.
SELECT
    study_runs.run,
    study_runs.base,
    study_runs.recipe,
    study_runs.tuning,
    tuned_checkpoint.rows,
    tuned_checkpoint.truncated_rows,
    tuned_checkpoint.tokens,
    tuned_checkpoint.steps,
    tuned_checkpoint.seed,
    tuned_checkpoint.final_loss,
    tuned_checkpoint.loss_steps,
    tuned_checkpoint.losses
FROM study_runs
LEFT JOIN tuned_checkpoint ON tuned_checkpoint.run = study_runs.run
WHERE NOT study_runs.untuned
ORDER BY study_runs.run_index
