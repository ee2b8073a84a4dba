"""Pairs made from labelled ones: padded with shared sentences, and short answers in phrases."""
