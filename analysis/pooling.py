"""Small numbers: rates of sellers that lend each other strength, and ranks told as ranges.

Belongs here: the hierarchical beta-binomial of one group of sellers.
Does not belong here: which sellers are alike enough to be one group (sellers).

Successes of n are binomial, rates of sellers beta with mean m and concentration c. Both are
integrated over, not estimated and plugged in: with few sellers the concentration is hardly known,
and plugged-in intervals are too short (Gelman et al., Bayesian Data Analysis, 3rd ed., section
5.3). The prior of m is uniform, that of c makes the weight of the group's mean uniform for a seller
of a quarter of the median n (Christiansen & Morris 1997, JASA 92, 618–632): for one of the median
itself it pooled too much (12 sellers of 100, log-odds spread 0.3: 93.5 % covered, so 94.3 %).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import (
    betainc,
    betaincinv,
    betaln,
    expit,
    gammaln,
    logit,
    ndtri,
    polygamma,
    psi,
)

from analysis.intervals import LEVEL, Floats, Integers

N_DRAWS = 250
# In the log-odds; a rate beyond FAR is published as 0 or 1.
NEAR, FAR = 0.03, 20
_SHARES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

# Nodes of the integral. The weight of the group's mean is uniform, so its nodes are evenly spread;
# the mean's lie within 4.5 standard deviations. Three times as many of each moved no bound by 0.6
# points (1,000 deals of two sellers, 10 of forty).
_WEIGHTS = (np.arange(20) + 0.5) / 20
_STEPS = np.linspace(-4.5, 4.5, 17)


@dataclass(frozen=True)
class Pooled:
    """Per seller: posterior mean, bounds (95 %), and the range its rank lies in (1 is highest)."""

    rate: Floats
    low: Floats
    high: Floats
    first_rank: Integers
    last_rank: Integers


def normal_scores(n_sellers: int, random: np.random.Generator) -> Floats:
    """Draws for ranks, of shape (N_DRAWS, n_sellers): of each seller the normal's own quantiles.

    In a random order for each; so 250 tell as much as 500 drawn freely.
    """
    quantiles = ndtri((np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    return np.ascontiguousarray(random.permuted(np.tile(quantiles, (n_sellers, 1)), axis=1).T)


def pooled(successes: Floats, n: Floats, scores: Floats) -> Pooled:
    """Rates of the sellers of one group; `successes` of `n` each, neither need be whole.

    Bounds are exact but for the nodes; only the ranks depend on `scores` (see `normal_scores`; as
    many sellers or more). Sellers with the same numbers are computed once.
    """
    pairs, of_pair, count = np.unique(
        np.round([successes, n], 6), axis=1, return_inverse=True, return_counts=True
    )
    mean, concentration, weight = _posterior(pairs[0], pairs[1], count)
    a = pairs[0] + (mean * concentration)[:, None]
    b = (pairs[1] - pairs[0]) + ((1 - mean) * concentration)[:, None]
    rate = weight @ (a / (a + b))
    low, high = (_quantile(weight, a, b, share)[of_pair] for share in _SHARES)
    first, last = _rank_ranges(weight, a, b, of_pair, scores[:, : len(of_pair)])
    return Pooled(rate[of_pair], low, high, first, last)


def mixtures(successes: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Beta parameters of each rate's posterior, of shape (N_DRAWS, rates): equally likely nodes."""
    mean, concentration, weight = _posterior(successes, n, np.ones(len(n), dtype=np.int64))
    drawn = np.searchsorted(np.cumsum(weight), (np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    drawn = np.minimum(drawn, len(weight) - 1)
    mean, concentration = mean[drawn], concentration[drawn]
    a = successes + (mean * concentration)[:, None]
    return a, (n - successes) + ((1 - mean) * concentration)[:, None]


def _rank_ranges(
    weight: Floats, a: Floats, b: Floats, of_pair: Integers, scores: Floats
) -> tuple[Integers, Integers]:
    """The range that holds 95 % of each seller's ranks, over draws of nodes and of rates.

    The log-odds of a beta distributed rate are drawn as normal with their own mean and variance.
    """
    # Systematic draws of the nodes spare most of the noise.
    node = np.searchsorted(np.cumsum(weight), (np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    node = np.minimum(node, len(weight) - 1)[:, None]
    centre, spread = psi(a) - psi(b), np.sqrt(polygamma(1, a) + polygamma(1, b))
    drawn = centre[node, of_pair] + spread[node, of_pair] * scores
    order = np.argsort(-drawn.astype(np.float32), axis=1)
    ranks = np.empty(order.shape, np.int32 if len(of_pair) > 32_000 else np.int16)
    np.put_along_axis(ranks, order, np.arange(1, len(of_pair) + 1, dtype=ranks.dtype)[None], axis=1)
    ranks = np.sort(ranks.T, axis=1)
    first, last = (ranks[:, int(np.ceil(share * N_DRAWS)) - 1] for share in _SHARES)
    return first.astype(np.int64), last.astype(np.int64)


def _quantile(weight: Floats, a: Floats, b: Floats, share: float) -> Floats:
    """Of mixtures of beta distributions, a column each: Halley's steps in the log-odds.

    Begun at the quantile of the beta distribution of the same mean and variance, which is off by up
    to a tenth of the interval; what is left after a step shorter than NEAR is about its cube.
    """
    mean = weight @ (a / (a + b))
    variance = weight @ (a * (a + 1) / ((a + b) * (a + b + 1))) - mean**2
    size = mean * (1 - mean) / variance - 1
    start = betaincinv(mean * size, (1 - mean) * size, share)
    place, scale = logit(np.clip(start, 1e-6, 1 - 1e-6)), betaln(a, b)
    left = np.arange(len(place))
    for _ in range(50):
        of_a, of_b, at = a[:, left], b[:, left], expit(place[left])
        beyond = weight @ betainc(of_a, of_b, at) - share
        densities = np.exp(of_a * np.log(at) + of_b * np.log1p(-at) - scale[:, left])
        density = np.maximum(weight @ densities, 1e-12)
        slope = weight @ (densities * (of_a * (1 - at) - of_b * at)) / density
        # Far out the density is next to nothing, and a whole step would leave the other end.
        step = np.clip(beyond / density, -1, 1)
        step /= np.clip(1 - step * slope / 2, 0.5, 2)
        place[left] = np.clip(place[left] - step, -FAR, FAR)
        left = left[(np.abs(step) > NEAR) & (np.abs(place[left]) < FAR)]
        if not len(left):
            break
    return np.asarray(expit(place))


def _posterior(successes: Floats, n: Floats, count: Integers) -> tuple[Floats, Floats, Floats]:
    """Nodes of mean and concentration with their posterior weights; `count` sellers of each."""
    total, reached = n @ count, successes @ count
    centre = (reached + 0.5) / (total + 1)
    spread = np.sqrt(1 / (total * centre * (1 - centre) + 1) + 1 / count.sum())
    mean = np.clip(expit(logit(centre) + spread * _STEPS), 1e-9, 1 - 1e-9)
    middle = float(np.median(np.repeat(n, count)))
    size = max(middle / 4, 1.0) * _WEIGHTS / (1 - _WEIGHTS)
    a, b = np.outer(size, mean)[:, :, None], np.outer(size, 1 - mean)[:, :, None]
    likelihood = (gammaln(a + successes) + gammaln(b + (n - successes))) @ count
    likelihood -= (gammaln(size[:, None] + n) @ count)[:, None]
    likelihood -= betaln(a, b)[:, :, 0] * count.sum()
    # Steps are even in the log-odds; the prior is even in the mean itself.
    log_weight = likelihood + np.log(mean * (1 - mean))
    weight = np.exp(log_weight - log_weight.max())
    # Nodes that weigh nothing are most of them.
    of_size, of_mean = np.nonzero(weight > 1e-4 * weight.max())
    weight = weight[of_size, of_mean]
    return mean[of_mean], size[of_size], weight / weight.sum()
