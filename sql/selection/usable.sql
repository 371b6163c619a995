-- A row is one usable response with its reward and what one base makes of it; null where there is none.
-- The base may be empty: then only the reward is known. `ifd` is its authors' ratio of mean losses (arXiv
-- 2308.12032; their code), `ifd_of_perplexities` the ratio of their exponentials.
SELECT
    current_responses.response_id,
    current_responses.instruction_id,
    current_responses.teacher,
    current_responses.sample,
    current_responses.finish_reason,
    rewards_today.reward,
    losses_today.nll_sum / losses_today.tokens AS mean_nll,
    exp(losses_today.nll_sum / losses_today.tokens) AS perplexity,
    losses_today.nll_sum / losses_today.tokens
    / (losses_today.unconditional_nll_sum / losses_today.unconditional_tokens) AS ifd,
    exp(
        losses_today.nll_sum / losses_today.tokens
        - losses_today.unconditional_nll_sum / losses_today.unconditional_tokens
    ) AS ifd_of_perplexities,
    losses_today.rank100_sum / losses_today.nll_sum AS rank_surprisal_ratio,
    losses_today.response_tokens::DOUBLE AS response_tokens
FROM current_responses
LEFT JOIN rewards_today ON rewards_today.response_id = current_responses.response_id
LEFT JOIN losses_today
    ON losses_today.response_id = current_responses.response_id
    AND losses_today.base = $base
    AND losses_today.error IS NULL
WHERE
    current_responses.error IS NULL
    AND list_contains($teachers, current_responses.teacher)
    AND NOT current_responses.blank
