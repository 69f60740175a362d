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
from scipy.special import betainc, betaincinv, betaln, expit, logit

from analysis.intervals import LEVEL, Floats, Integers

N_DRAWS = 500
NEAR = 1e-3  # in the log-odds
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


def pooled(successes: Floats, n: Floats, random: np.random.Generator) -> Pooled:
    """Rates of the sellers of one group; `successes` of `n` each, neither need be whole.

    Bounds are exact but for the nodes; only the ranks depend on draws of `random`.
    """
    mean, concentration, weight = _posterior(successes, n)
    a = successes[None, :] + (mean * concentration)[:, None]
    b = (n - successes)[None, :] + ((1 - mean) * concentration)[:, None]
    low, high = (_quantile(weight, a, b, share) for share in _SHARES)
    # Systematic draws of the nodes spare most of the noise; only ranks are drawn.
    node = np.searchsorted(np.cumsum(weight), (np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    node = np.minimum(node, len(weight) - 1)
    ranks = (-random.beta(a[node], b[node])).argsort(axis=1).argsort(axis=1) + 1
    first, last = np.quantile(ranks, _SHARES, axis=0, method="inverted_cdf").astype(np.int64)
    return Pooled(weight @ (a / (a + b)), low, high, first, last)


def _quantile(weight: Floats, a: Floats, b: Floats, share: float) -> Floats:
    """Of mixtures of beta distributions, a column each: Newton's steps in the log-odds.

    Begun at the quantile of the beta distribution of the same mean and variance, which is off by up
    to a tenth of the interval, three or four are exact to NEAR, squared.
    """
    mean = weight @ (a / (a + b))
    variance = weight @ (a * (a + 1) / ((a + b) * (a + b + 1))) - mean**2
    size = mean * (1 - mean) / variance - 1
    start = betaincinv(mean * size, (1 - mean) * size, share)
    place, scale = logit(np.clip(start, 1e-6, 1 - 1e-6)), betaln(a, b)
    for _ in range(50):
        at = expit(place)
        beyond = weight @ betainc(a, b, at) - share
        density = weight @ np.exp(a * np.log(at) + b * np.log1p(-at) - scale)
        # Far out the density is next to nothing, and a whole step would leave the other end.
        step = np.clip(place - np.clip(beyond / np.maximum(density, 1e-12), -1, 1), -20, 20) - place
        place = place + step
        if np.abs(step).max(initial=0) < NEAR:
            break
    return np.asarray(expit(place))


def _posterior(successes: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """Nodes of mean and concentration with their posterior weights."""
    total = n.sum()
    centre = (successes.sum() + 0.5) / (total + 1)
    spread = np.sqrt(1 / (total * centre * (1 - centre) + 1) + 1 / len(n))
    mean, share = (
        grid.ravel() for grid in np.meshgrid(expit(logit(centre) + spread * _STEPS), _WEIGHTS)
    )
    mean = np.clip(mean, 1e-9, 1 - 1e-9)
    concentration = max(float(np.median(n)) / 4, 1.0) * share / (1 - share)
    a, b = (mean * concentration)[:, None], ((1 - mean) * concentration)[:, None]
    likelihood = (betaln(a + successes, b + n - successes) - betaln(a, b)).sum(axis=1)
    # Steps are even in the log-odds; the prior is even in the mean itself.
    log_weight = likelihood + np.log(mean * (1 - mean))
    weight = np.exp(log_weight - log_weight.max())
    # Nodes that weigh nothing are most of them.
    kept = weight > 1e-4 * weight.max()
    return mean[kept], concentration[kept], weight[kept] / weight[kept].sum()
