"""Networks, priors, likelihoods and estimators shared by the methods."""
