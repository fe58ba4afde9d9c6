"""The families of generators: the haplotype model, the conditional GANs, the baselines, and what they share."""
