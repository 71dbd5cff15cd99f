"""Classifiers of one's own: a head fitted on an encoder's vectors, calibrated, with a threshold to abstain below."""
