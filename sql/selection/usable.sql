-- A row is one usable response with its reward and what one base makes of it; null where there is none.
-- The base may be empty: then only the reward is known. `ifd` is its authors' ratio of mean losses (arXiv
-- 2308.12032; their code), `ifd_of_perplexities` the ratio of their exponentials.
SELECT
    current_responses.response_id,
    current_responses.instruction_id,
    current_responses.teacher,
    current_responses.sample,
    current_responses.finish_reason,
    current_rewards.reward,
    current_losses.nll_sum / current_losses.tokens AS mean_nll,
    exp(current_losses.nll_sum / current_losses.tokens) AS perplexity,
    current_losses.nll_sum / current_losses.tokens
    / (current_losses.unconditional_nll_sum / current_losses.unconditional_tokens) AS ifd,
    exp(
        current_losses.nll_sum / current_losses.tokens
        - current_losses.unconditional_nll_sum / current_losses.unconditional_tokens
    ) AS ifd_of_perplexities,
    current_losses.rank100_sum / current_losses.nll_sum AS rank_surprisal_ratio,
    current_losses.response_tokens::DOUBLE AS response_tokens
FROM current_responses
LEFT JOIN current_rewards ON current_rewards.response_id = current_responses.response_id
LEFT JOIN current_losses
    ON current_losses.response_id = current_responses.response_id
    AND current_losses.base = $base
    AND current_losses.error IS NULL
WHERE
    current_responses.error IS NULL
    AND list_contains($teachers, current_responses.teacher)
    AND NOT current_responses.blank
