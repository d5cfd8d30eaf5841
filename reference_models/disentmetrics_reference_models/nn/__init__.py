"""Networks, priors, likelihoods and estimators that methods share."""
